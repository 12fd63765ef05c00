# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user's value may look like. Each reader returns the parsed value or raises ValueError with what is allowed.

Patterns name what is allowed, never what is forbidden: whatever passes may stand in a file, in a URL or in an
argument list without quoting. They are matched as a whole, in ASCII, so a newline or a control character never passes.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Callable, Mapping

from .errors import InputError
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
LOCAL_PATH = re.compile(r"(?:[\w@+=,.~-][\w@+=,.~ -]{0,254})?(?:/[\w@+=,.~ -]{1,255}){0,64}")
REPOSITORY = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?(?::\d{1,5})?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+){0,20}){0,10}", re.ASCII)
CHECK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,120}", re.ASCII)
PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,3})?)%", re.ASCII)
QUANTITY = re.compile(r"(\d{1,15})(Ki|Mi|Gi|Ti|k|M|G|T)?", re.ASCII)
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
SHOWN = 60


def show(value: Any) -> str:
    """A value for a message: its type unless it is text, control characters escaped, cut."""
    text = repr(str(value)) if isinstance(value, str) else repr(value)
    cut = text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text)} characters)"
    return cut if isinstance(value, str) else f"{cut} ({type(value).__name__})"


def text(pattern: re.Pattern[str], allowed: str) -> Reader:
    """Text that matches a pattern as a whole."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or len(value) > 4096 or not pattern.fullmatch(value):
            raise ValueError(allowed)
        return str(value)

    return read


def choice(*allowed: str) -> Reader:
    """One of some words."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
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
            raise ValueError(f"a whole number from {least} to {most}")
        return int(value)

    return read


port = whole(1, 65535)


def seconds(value: Any) -> float:
    """A time span."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,6}(\.\d{1,6})?", value, re.ASCII):
        value = float(value)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= 86400:
        raise ValueError("a number of seconds above 0")
    return float(value)


def truth(value: Any) -> bool:
    """A boolean; the words of `-e name=true` count."""
    if isinstance(value, str) and value.lower() in ("true", "yes", "false", "no"):
        return value.lower() in ("true", "yes")
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def release(value: Any) -> Version:
    """A Kubernetes version."""
    if not isinstance(value, str) or not RELEASE.fullmatch(value):
        raise ValueError('three numbers without "v", like 1.36.3')
    return parse_version(value)


def ipv4(value: Any) -> ipaddress.IPv4Address:
    """An IPv4 address."""
    try:
        if not isinstance(value, str):
            raise InputError("not text")
        return ipaddress.IPv4Address(value)
    except (ValueError, InputError) as exc:
        raise ValueError("an IPv4 address like 192.0.2.10") from exc


def address(value: Any) -> str:
    """An IPv4 or IPv6 address; the families are compared later, all at once."""
    try:
        if not isinstance(value, str) or "%" in value:
            raise InputError("not text")
        return str(ipaddress.ip_address(value))
    except (ValueError, InputError) as exc:
        raise ValueError("an IP address like 192.0.2.11") from exc


def network(value: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """A network whose host bits are zero."""
    try:
        if not isinstance(value, str) or "/" not in value:
            raise InputError("no prefix")
        return ipaddress.ip_network(value)
    except (ValueError, InputError) as exc:
        raise ValueError("a network like 10.244.0.0/16, its host bits zero") from exc


def local_path(value: Any) -> str:
    """A path on the controller."""
    path = text(LOCAL_PATH, "a path without .. and without shell characters")(value)
    if not path or ".." in path.split("/"):
        raise ValueError("a path without .. and without shell characters")
    return str(path)


def host_path(value: Any) -> str:
    """An absolute path on a host."""
    path = text(HOST_PATH, "an absolute path of letters, digits and ._@+=,- without ..")(value)
    if ".." in path.split("/"):
        raise ValueError("an absolute path without ..")
    return str(path)


def labels(value: Any) -> dict[str, str]:
    """Labels of a Node in Kubernetes' syntax."""
    if not isinstance(value, Mapping):
        raise ValueError("a mapping of label keys to values")
    for key, entry in value.items():
        if not isinstance(key, str) or not LABEL_KEY.fullmatch(key):
            raise ValueError(f"label keys of Kubernetes' syntax, which {show(key)} is not")
        if not isinstance(entry, str) or not LABEL_VALUE.fullmatch(entry):
            raise ValueError(f"label values of at most 63 letters, digits and ._- in quotes, which {show(entry)} is not")
    return {str(key): str(entry) for key, entry in value.items()}


def _taint(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not {"key", "effect"} <= set(value) <= {"key", "value", "effect"}:
        raise ValueError("taints with key, effect and perhaps value")
    if value["effect"] not in EFFECTS:
        raise ValueError(f"a taint's effect is one of {', '.join(EFFECTS)}, which {show(value['effect'])} is not")
    entry = value.get("value")
    labels({value["key"]: "" if entry is None else entry})
    return {"key": str(value["key"]), "value": str(entry or ""), "effect": str(value["effect"])}


def taints(value: Any) -> list[dict[str, str]]:
    """Taints of a Node."""
    if not isinstance(value, (list, tuple)):
        raise ValueError("a list of taints")
    return [_taint(entry) for entry in value]


def names(value: Any) -> list[str]:
    """Names of kubeadm's preflight checks."""
    if not isinstance(value, (list, tuple)):
        raise ValueError("a list of names")
    return [text(CHECK_NAME, "names of letters, digits and ._-")(entry) for entry in value]


def amount(value: Any, total: int) -> int:
    """Bytes of an eviction threshold: 1Gi, 500M, or a percentage of the total."""
    found = PERCENT.fullmatch(str(value))
    if found:
        return int(total * float(found.group(1)) / 100)
    found = QUANTITY.fullmatch(str(value))
    if not found:
        raise ValueError("an amount like 1Gi or 10%")
    return int(found.group(1)) * UNITS[found.group(2) or ""]


def thresholds(value: Any) -> dict[str, str]:
    """Eviction signals and their amounts."""
    if not isinstance(value, Mapping):
        raise ValueError("a mapping like {nodefs.available: 10%}")
    for key, entry in value.items():
        text(CHECK_NAME, "names of eviction signals")(key)
        amount(entry, 1)
    return {str(key): str(entry) for key, entry in value.items()}


def sizes(value: Any) -> dict[str, int]:
    """Absolute paths to MiB."""
    if not isinstance(value, Mapping):
        raise ValueError("a mapping of paths to MiB")
    return {host_path(path): whole(0, 10**9)(least) for path, least in value.items()}
