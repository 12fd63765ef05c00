# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bootstrap tokens as kubeadm makes them: a Secret on one side, a value on the other."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from .errors import InputError

SECRET_TYPE = "bootstrap.kubernetes.io/token"  # noqa: S105 - the type's name, no secret
SECRET_PREFIX = "bootstrap-token-"  # noqa: S105 - a prefix of names
NAMESPACE = "kube-system"
USAGES = ("authentication", "signing")
DEFAULT_GROUP = "system:bootstrappers:kubeadm:default-node-token"

UPLOAD_DESCRIPTION = "Proxy for managing TTL for the kubeadm-certs secret"

_ALPHABET = string.ascii_lowercase + string.digits
_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_ID = re.compile(r"[a-z0-9]{6}")
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.\d+)?(?:[Zz]|([+-]\d\d:\d\d))")


@dataclass(frozen=True)
class BootstrapToken:
    """A token. `expires` is None when it never expires."""

    token_id: str
    secret: str = field(repr=False)
    expires: datetime | None = None
    description: str = ""
    usages: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def token(self) -> str:
        """What kubeadm join wants."""
        return f"{self.token_id}.{self.secret}"

    def expired(self, now: datetime) -> bool:
        """Whether the API server refuses it at this time."""
        return self.expires is not None and self.expires <= now


def mint(
    *,
    now: datetime,
    ttl: timedelta,
    description: str,
    usages: Iterable[str] = USAGES,
    groups: Iterable[str] = (DEFAULT_GROUP,),
    choose: Callable[[Sequence[str]], str] = secrets.choice,
) -> BootstrapToken:
    """A new random token that expires `ttl` after `now`."""
    usages, groups = tuple(sorted(set(usages))), tuple(sorted(set(groups)))
    if ttl <= timedelta(0):
        raise InputError(
            "A token's lifetime must be positive", found=str(ttl), next_step="Set ttl_minutes to 1 or more"
        )
    unknown = sorted(set(usages) - set(USAGES))
    if unknown or not usages:
        raise InputError(
            "A token needs usages that exist", found=", ".join(unknown) or "none", next_step="Use " + ", ".join(USAGES)
        )
    bad = [group for group in groups if not _GROUP.fullmatch(group)]
    if bad:
        raise InputError(
            "A token's groups must begin with system:bootstrappers:",
            found=", ".join(bad),
            next_step=f"Use {DEFAULT_GROUP}",
        )
    return BootstrapToken(
        token_id="".join(choose(_ALPHABET) for _n in range(6)),
        secret="".join(choose(_ALPHABET) for _n in range(16)),
        expires=(now + ttl).astimezone(timezone.utc).replace(microsecond=0),
        description=description,
        usages=usages,
        groups=groups,
    )


def split_token(text: str) -> tuple[str, str]:
    """The ID and the secret part of a token."""
    match = _TOKEN.fullmatch(text)
    if match is None:
        # Not quoted: it may be nearly the secret.
        raise InputError("The token is not of the form abcdef.0123456789abcdef")
    return match[1], match[2]


def check_id(text: str) -> str:
    """The token ID, if it is one. A whole token instead of the ID is refused without being repeated."""
    if _ID.fullmatch(text) is None:
        raise InputError(
            "The token_id is not 6 characters of a-z and 0-9",
            found=f"{len(text)} characters",
            next_step="Give the part before the dot",
        )
    return text


def secret_name(token_id: str) -> str:
    """The name of the token's Secret."""
    return SECRET_PREFIX + token_id


def to_secret(token: BootstrapToken) -> dict[str, Any]:
    """The Secret that kubeadm would make."""
    values = {"token-id": token.token_id, "token-secret": token.secret}
    if token.description:
        values["description"] = token.description
    if token.expires is not None:
        values["expiration"] = format_time(token.expires)
    values.update({f"usage-bootstrap-{usage}": "true" for usage in token.usages})
    if token.groups:
        values["auth-extra-groups"] = ",".join(token.groups)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret_name(token.token_id), "namespace": NAMESPACE},
        "type": SECRET_TYPE,
        "data": {key: encode(value) for key, value in values.items()},
    }


def from_secret(secret: Mapping[str, Any]) -> BootstrapToken:
    """Read a token's Secret, whoever made it."""
    data = secret.get("data") or {}
    token_id, token_secret = split_token(f"{decode(data, 'token-id')}.{decode(data, 'token-secret')}")
    expiration = decode(data, "expiration")
    return BootstrapToken(
        token_id=token_id,
        secret=token_secret,
        expires=parse_time(expiration) if expiration else None,
        description=decode(data, "description"),
        usages=tuple(usage for usage in USAGES if decode(data, f"usage-bootstrap-{usage}") == "true"),
        groups=tuple(sorted(group for group in decode(data, "auth-extra-groups").split(",") if group)),
    )


def is_upload_owner(secret: Mapping[str, Any]) -> bool:
    """Whether kubeadm made it to end the life of uploaded certificates. It authenticates nobody.

    Every upload makes one, and the Secret refers to the last: those before it are owners of nothing.
    """
    data = secret.get("data") or {}
    usages = [usage for usage in USAGES if decode(data, f"usage-bootstrap-{usage}") == "true"]
    return decode(data, "description") == UPLOAD_DESCRIPTION and not usages


def encode(text: str) -> str:
    """A value of a Secret's data."""
    return base64.b64encode(text.encode()).decode()


def decode(data: Mapping[str, Any], key: str) -> str:
    """The text of a Secret's data; empty when the key is not there."""
    try:
        return base64.b64decode(data.get(key) or "", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InputError("A token's Secret holds data that is not base64 of text", found=f"key {key}") from None


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC, whole seconds, as Kubernetes writes it."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """RFC 3339, any offset; fractions of a second are dropped."""
    match = _TIME.fullmatch(text)
    try:
        if match is not None:
            return datetime.fromisoformat(f"{match[1]}T{match[2]}{match[3] or '+00:00'}").astimezone(timezone.utc)
    except (ValueError, OverflowError):
        pass
    raise InputError("The time is not RFC 3339", found=repr(text), next_step="Write it like 2026-01-31T12:00:00Z")


def shortcoming(token: BootstrapToken | None, now: datetime, least: timedelta) -> str:
    """Why a token will not serve for `least` from now on; "" when it will."""
    if token is None:
        return "is gone"
    if token.expires is None or token.expires > now + least:
        return ""
    return f"{'ended' if token.expired(now) else 'ends'} at {format_time(token.expires)}"


def shortened(expires: datetime | None, now: datetime, ttl: timedelta) -> datetime | None:
    """The earlier expiry that a life of at most `ttl` from now asks for; None when it is early enough already."""
    limit = (now + ttl).astimezone(timezone.utc).replace(microsecond=0)
    return limit if expires is None or expires > limit else None
