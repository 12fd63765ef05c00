# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user's value may look like. A reader returns the parsed value, or raises NotAllowedError: what is allowed.

Patterns name what is allowed, never what is forbidden: whatever passes may stand in a file, in a URL or in an
argument list without quoting. They are matched as a whole, in ASCII, so a newline or a control character never passes.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Callable

from .version import Version, parse_version

Reader = Callable[[Any], Any]

LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
DNS = re.compile(rf"(?=.{{1,253}}\Z){LABEL}(?:\.{LABEL})*", re.ASCII)
QUALIFIED = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
LABEL_KEY = re.compile(rf"(?:(?=[^/]{{1,253}}/){LABEL}(?:\.{LABEL})*/)?{QUALIFIED}", re.ASCII)
LABEL_VALUE = re.compile(rf"(?:{QUALIFIED})?", re.ASCII)
# The kernel allows 15 bytes.
INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,14}", re.ASCII)
CLUSTER_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
RELEASE = re.compile(r"\d{1,2}\.\d{1,3}\.\d{1,3}", re.ASCII)
HOST_PATH = re.compile(r"(?:/[A-Za-z0-9_@+=,.-]{1,255}){1,32}/?", re.ASCII)
# On the controller: also spaces and letters of other scripts, as home directories have them.
LOCAL_PATH = re.compile(r"(?:[\w@+=,.~][\w@+=,.~ -]{0,254})?(?:/[\w@+=,.~ -]{1,255}){0,64}")
REPOSITORY = re.compile(
    r"[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?(?::\d{1,5})?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+){0,20}){0,10}", re.ASCII
)
URL = re.compile(r"https?://[A-Za-z0-9.\[\]-]+(?::\d{1,5})?(?:/[A-Za-z0-9_.~:+=,{}%/-]*)?", re.ASCII)
SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
CHECK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,120}", re.ASCII)
PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,3})?)%", re.ASCII)
QUANTITY = re.compile(r"(\d{1,15})(Ki|Mi|Gi|Ti|k|M|G|T)?", re.ASCII)
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
KUBELET_DEFAULTS: dict[str, Any] = {
    "evictionHard": {"nodefs.available": "10%", "imagefs.available": "15%"},
    "imageGCHighThresholdPercent": 85,
    "failSwapOn": True,
}
SHOWN = 60


class NotAllowedError(ValueError):
    """The value cannot be used; the text says what is allowed."""


def _kind(value: Any) -> str:
    kinds = ((bool, "a boolean"), ((int, float), "a number"), (Mapping, "a mapping"), ((list, tuple), "a list"))
    return next((name for kind, name in kinds if isinstance(value, kind)), type(value).__name__)


def show(value: Any) -> str:
    """A value for a message: control characters escaped, cut, and its kind unless it is text."""
    shown = repr(str(value)) if isinstance(value, str) else repr(value)
    cut = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}... ({len(shown)} characters)"
    return cut if isinstance(value, str) else f"{cut} ({_kind(value)})"


def _characters(value: Any, needs: str = "", without: str = "\0") -> str:
    """Text only: ipaddress takes numbers for addresses too."""
    if not isinstance(value, str) or needs not in value or without in value:
        raise NotAllowedError("text")
    return str(value)


def text(pattern: re.Pattern[str], allowed: str) -> Reader:
    """Text that matches a pattern as a whole."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or len(value) > 4096 or not pattern.fullmatch(value):
            raise NotAllowedError(allowed)
        return str(value)

    return read


def choice(*allowed: str) -> Reader:
    """One of some words."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise NotAllowedError(f"one of {', '.join(allowed)}")
        return str(value)

    return read


def optional(reader: Reader, empty: Any = "") -> Reader:
    """Empty or missing, or what the reader takes."""

    def read(value: Any) -> Any:
        return empty if value is None or value == "" else reader(value)

    return read


def whole(least: int, most: int) -> Reader:
    """A whole number; the digits of `-e name=5` are text and count as one."""

    def read(value: Any) -> int:
        if isinstance(value, str) and re.fullmatch(r"\d{1,10}", value, re.ASCII):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise NotAllowedError(f"a whole number from {least} to {most}")
        return int(value)

    return read


port = whole(1, 65535)


def seconds(value: Any) -> float:
    """A time span."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,6}(\.\d{1,6})?", value, re.ASCII):
        value = float(value)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= 86400:
        raise NotAllowedError("a number of seconds above 0")
    return float(value)


def truth(value: Any) -> bool:
    """A boolean; the words of `-e name=true` count."""
    if isinstance(value, str) and value.lower() in ("true", "yes", "false", "no"):
        return value.lower() in ("true", "yes")
    if not isinstance(value, bool):
        raise NotAllowedError("true or false")
    return value


def release(value: Any) -> Version:
    """A Kubernetes version."""
    if not isinstance(value, str) or not RELEASE.fullmatch(value):
        raise NotAllowedError('three numbers without "v", like 1.36.3')
    return parse_version(value)


def ipv4(value: Any) -> ipaddress.IPv4Address:
    """An IPv4 address."""
    try:
        return ipaddress.IPv4Address(_characters(value))
    except ValueError as exc:
        raise NotAllowedError("an IPv4 address like 192.0.2.10") from exc


def address(value: Any) -> str:
    """An IPv4 or IPv6 address; the families are compared later, all at once."""
    try:
        return str(ipaddress.ip_address(_characters(value, without="%")))
    except ValueError as exc:
        raise NotAllowedError("an IP address like 192.0.2.11") from exc


def network(value: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """A network whose host bits are zero."""
    try:
        return ipaddress.ip_network(_characters(value, needs="/"))
    except ValueError as exc:
        raise NotAllowedError("a network like 10.244.0.0/16, its host bits zero") from exc


def local_path(value: Any) -> str:
    """A path on the controller."""
    path = text(LOCAL_PATH, "a path without .. and without shell characters")(value)
    if not path or ".." in path.split("/"):
        raise NotAllowedError("a path without .. and without shell characters")
    return str(path)


def host_path(value: Any) -> str:
    """An absolute path on a host."""
    path = text(HOST_PATH, "an absolute path of letters, digits and ._@+=,- without ..")(value)
    if ".." in path.split("/"):
        raise NotAllowedError("an absolute path without ..")
    return str(path)


def url(value: Any) -> str:
    """An http or https URL; {series} and {kind} stand for what is filled in."""
    allowed = "an http or https URL without a login in it, such as https://mirror.example.com/path"
    found = _characters(value)
    if not URL.fullmatch(found):
        raise NotAllowedError(allowed)
    return found


def checksums(value: Any) -> dict[str, str]:
    """URL of a file -> its SHA-256."""
    if not isinstance(value, Mapping) or not all(
        URL.fullmatch(str(name)) and SHA256.fullmatch(str(sha)) for name, sha in value.items()
    ):
        raise NotAllowedError("a mapping of URLs to SHA-256 sums of 64 hexadecimal digits")
    return {str(name): str(sha) for name, sha in value.items()}


def labels(value: Any) -> dict[str, str]:
    """Labels of a Node in Kubernetes' syntax."""
    if not isinstance(value, Mapping):
        raise NotAllowedError("a mapping of label keys to values")
    for key, entry in value.items():
        if not isinstance(key, str) or not LABEL_KEY.fullmatch(key):
            raise NotAllowedError(f"label keys of Kubernetes' syntax, which {show(key)} is not")
        if not isinstance(entry, str) or not LABEL_VALUE.fullmatch(entry):
            raise NotAllowedError(
                f"label values of at most 63 letters, digits and ._- in quotes, which {show(entry)} is not"
            )
    return {str(key): str(entry) for key, entry in value.items()}


def _taint(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not {"key", "effect"} <= set(value) <= {"key", "value", "effect"}:
        raise NotAllowedError("taints with key, effect and perhaps value")
    if value["effect"] not in EFFECTS:
        raise NotAllowedError(f"a taint's effect is one of {', '.join(EFFECTS)}, which {show(value['effect'])} is not")
    entry = value.get("value")
    labels({value["key"]: "" if entry is None else entry})
    return {"key": str(value["key"]), "value": str(entry or ""), "effect": str(value["effect"])}


def taints(value: Any) -> list[dict[str, str]]:
    """Taints of a Node."""
    if not isinstance(value, (list, tuple)):
        raise NotAllowedError("a list of taints")
    return [_taint(entry) for entry in value]


def names(value: Any) -> list[str]:
    """Names of kubeadm's preflight checks."""
    if not isinstance(value, (list, tuple)):
        raise NotAllowedError("a list of names")
    return [text(CHECK_NAME, "names of letters, digits and ._-")(entry) for entry in value]


def amount(value: Any, total: int) -> int:
    """Bytes of an eviction threshold: 1Gi, 500M, or a percentage of the total."""
    found = PERCENT.fullmatch(str(value))
    if found:
        return int(total * float(found.group(1)) / 100)
    found = QUANTITY.fullmatch(str(value))
    if not found:
        raise NotAllowedError("an amount like 1Gi or 10%")
    return int(found.group(1)) * UNITS[found.group(2) or ""]


def thresholds(value: Any) -> dict[str, str]:
    """Eviction signals and their amounts."""
    if not isinstance(value, Mapping):
        raise NotAllowedError("a mapping like {nodefs.available: 10%}")
    for key, entry in value.items():
        text(CHECK_NAME, "names of eviction signals")(key)
        amount(entry, 1)
    return {str(key): str(entry) for key, entry in value.items()}


def kubelet_config(value: Any) -> dict[str, Any]:
    """The parts of a KubeletConfiguration that preflight judges by; the kubelet's own defaults for the rest."""
    if not isinstance(value, Mapping):
        raise NotAllowedError("a mapping of KubeletConfiguration's fields")
    config = {**KUBELET_DEFAULTS, **{key: value[key] for key in KUBELET_DEFAULTS if key in value}}
    return {
        "evictionHard": thresholds(config["evictionHard"]),
        "imageGCHighThresholdPercent": whole(1, 100)(config["imageGCHighThresholdPercent"]),
        "failSwapOn": truth(config["failSwapOn"]),
    }


def sizes(value: Any) -> dict[str, int]:
    """Absolute paths to MiB."""
    if not isinstance(value, Mapping):
        raise NotAllowedError("a mapping of paths to MiB")
    return {host_path(path): whole(0, 10**9)(least) for path, least in value.items()}
