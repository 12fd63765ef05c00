# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API servers' encryption configuration: Secrets encrypted in etcd under a key of ours, and what keys it has."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import InputError, RefusedError

KEY_BYTES = 32
FIRST_KEY = "key1"
_BY_HAND = "Rotate what the API servers use otherwise by hand, as Kubernetes' guide to encryption at rest tells"


@dataclass(frozen=True)
class Key:
    """A key without its secret. mark: what tells it from another one of the same name."""

    name: str
    mark: str


@dataclass(frozen=True)
class Config:
    """An EncryptionConfiguration that one list of secretbox keys rules. The first key writes, every key reads."""

    document: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    resources: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[Key, ...]:
        """The keys in their order."""
        return tuple(Key(name, mark(secret)) for name, secret in self.secrets.items())

    @property
    def rest(self) -> str:
        """What the configuration says beside its keys, for comparing."""
        return json.dumps(_with_keys(self.document, {}), sort_keys=True)

    def text(self, order: Sequence[str], more: Mapping[str, str]) -> str:
        """The configuration with these keys in this order; more: secrets of keys that it does not have."""
        known = {**more, **self.secrets}
        return json.dumps(_with_keys(self.document, {name: known[name] for name in order}), indent=2) + "\n"


def mark(secret: str) -> str:
    """Sixteen digits of a hash: of 32 random bytes nobody finds the secret by it."""
    return hashlib.sha256(f"quorum.kubeadm {secret}".encode()).hexdigest()[:16]


def new_secret(random_bytes: Callable[[int], bytes]) -> str:
    """A new secretbox key, as the configuration wants it."""
    return base64.b64encode(random_bytes(KEY_BYTES)).decode()


def new_configuration(random_bytes: Callable[[int], bytes]) -> str:
    """An EncryptionConfiguration as JSON (which is YAML): a new secretbox key first, identity for reading old data."""
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [
            {
                "resources": ["secrets"],
                "providers": [
                    {"secretbox": {"keys": [{"name": FIRST_KEY, "secret": new_secret(random_bytes)}]}},
                    {"identity": {}},
                ],
            }
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def is_usable(text: str) -> bool:
    """Whether a text is an EncryptionConfiguration that encrypts Secrets, as far as the standard library can tell."""
    return "EncryptionConfiguration" in text and "secrets" in text and "secret" in text.replace("secrets", "")


def parse(document: Any, where: str) -> Config:
    """A configuration whose keys can be rotated; everything else is refused by name, without quoting any of it."""
    if not isinstance(document, Mapping) or document.get("kind") != "EncryptionConfiguration":
        raise InputError("the encryption configuration cannot be used", where=where, found="another document")
    entries = document.get("resources") or []
    lists = [_keys(entry, where) for entry in entries]
    if not lists or any(list(one.items()) != list(lists[0].items()) for one in lists):
        raise RefusedError(
            "the resources of the encryption configuration do not share one list of keys",
            where=where,
            found=f"{len(lists)} entries under resources",
            next_step=_BY_HAND,
        )
    resources = tuple(dict.fromkeys(str(name) for entry in entries for name in entry.get("resources") or []))
    if any("*" in name for name in resources):
        raise RefusedError(
            "the encryption configuration has wildcards", where=where, found=", ".join(resources), next_step=_BY_HAND
        )
    return Config(document, lists[0], resources)


def _keys(entry: Any, where: str) -> dict[str, str]:
    """Name to secret of an entry's only secretbox provider, in order."""
    providers = (entry.get("providers") if isinstance(entry, Mapping) else None) or []
    kinds = [next(iter(one), "") if isinstance(one, Mapping) else "" for one in providers]
    if sorted(kinds) not in (["secretbox"], ["identity", "secretbox"]):
        raise RefusedError(
            "only keys of the provider secretbox are rotated",
            where=where,
            found=f"providers {', '.join(map(str, kinds)) or 'none'}",
            next_step=_BY_HAND,
        )
    listed = providers[kinds.index("secretbox")]["secretbox"].get("keys") or []
    found = {str(one["name"]): str(one["secret"]) for one in listed}
    if kinds[0] != "secretbox" or not found or len(found) != len(listed):
        raise RefusedError(
            "the keys of the encryption configuration cannot be told apart, or nothing is encrypted by them",
            where=where,
            found=f"providers {', '.join(kinds)}; keys {', '.join(found) or 'none'}",
            next_step=_BY_HAND,
        )
    return found


def _with_keys(document: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, Any]:
    """The document with another list of keys."""
    keys = [{"name": name, "secret": secret} for name, secret in secrets.items()]

    def provider(one: Mapping[str, Any]) -> dict[str, Any]:
        return {"secretbox": {**one["secretbox"], "keys": keys}} if "secretbox" in one else dict(one)

    entries = [{**one, "providers": [provider(each) for each in one["providers"]]} for one in document["resources"]]
    return {**document, "resources": entries}
