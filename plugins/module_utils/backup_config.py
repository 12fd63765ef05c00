# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is told about its backups: parsed once, judged, and never printed, since it holds passwords. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from .backup_set import ETCD, PKI
from .errors import InputError
from .host_entries import check_path
from .snapshot_file import check_cluster

PATH = "/etc/quorum-kubeadm/etcd-backup.json"
VERIFY = ("none", "status", "restore", "drill")
NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_. ]{0,61}[A-Za-z0-9])?", re.ASCII)
# What stands in a line of a configuration of other programs, or in an argument, has no line break and no option.
WORD = re.compile(r"[^\s\x00-\x1f-][^\x00-\x1f]{0,1023}")
HOST = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9.:]{0,253}[A-Za-z0-9])?", re.ASCII)
USER = re.compile(r"[a-z_][a-z0-9_.-]{0,31}", re.ASCII)
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
INSIDE = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_./]{0,254}[A-Za-z0-9])?", re.ASCII)
HOST_KEY = re.compile(r"(?:ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+", re.ASCII)
OPTION = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)


@dataclass(frozen=True)
class Destination:
    """Where copies go. Which of the values matter depends on `type`: directory, ssh or s3."""

    name: str
    type: str
    path: str = ""
    mounted: bool = True
    host: str = ""
    port: int = 22
    user: str = ""
    key: str = field(default="", repr=False)
    host_keys: tuple[str, ...] = ()
    bucket: str = ""
    endpoint: str = ""
    region: str = ""
    provider: str = "Other"
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Config:
    """One host's backups. snapshot: it has a member of etcd. address: where the others find it; "" without them.

    keep: how many sets at each place; max_age_days: 0 is for ever. delay_minutes: by how much hosts differ at most.
    """

    cluster: str
    host: str
    directory: str
    endpoints: tuple[str, ...]
    ca: str
    cert: str
    key: str
    snapshot: bool = True
    kube_version: str = ""
    verify: str = "drill"
    pki: tuple[str, ...] = ()
    recipient: str = ""
    keep: int = 28
    max_age_days: int = 30
    interval_hours: int = 6
    delay_minutes: int = 15
    old_after_hours: int = 13
    minimum_free_mib: int = 256
    address: str = ""
    ssh_port: int = 22
    destinations: tuple[Destination, ...] = ()
    metrics_dir: str = ""
    etcd: str = "/usr/bin/etcd"
    etcdctl: str = "/usr/bin/etcdctl"
    etcdutl: str = "/usr/bin/etcdutl"
    ctr: str = "/usr/bin/ctr"
    rclone: str = "/usr/bin/rclone"
    wait_seconds: int = 3600
    state_dir: str = "/var/lib/quorum-kubeadm"

    @property
    def interval(self) -> float:
        """Seconds between two backups."""
        return self.interval_hours * 3600.0

    @property
    def leader_wait(self) -> float:
        """Seconds for which the leader leaves it to the others, whose timers may be later, and a little more."""
        return self.delay_minutes * 60.0 + 300.0

    @property
    def old_after(self) -> float:
        """Seconds after which the newest backup is too old."""
        return self.old_after_hours * 3600.0

    @property
    def kind(self) -> str:
        """What its sets are."""
        return ETCD if self.snapshot else PKI

    @property
    def owner(self) -> str:
        """The name that its sets have in the cluster's place."""
        return self.cluster if self.snapshot else f"{self.cluster}-{self.host}"

    def snapshot_params(self) -> dict[str, Any]:
        """For etcd_snapshot's own code."""
        same = ("directory", "verify", "etcd", "etcdctl", "etcdutl", "ctr", "ca", "cert", "key")
        told = {name: getattr(self, name) for name in same}
        return {**told, "endpoints": list(self.endpoints), "cluster": self.cluster, "path": "", "keep": 0,
                "minimum_free_bytes": self.minimum_free_mib << 20,
                "timeout": 5.0, "wait_seconds": float(self.wait_seconds)}  # fmt: skip


def _refuse(where: str, found: str) -> InputError:
    next_step = "correct the variables of role etcd_backup, and run site, or backup_etcd"
    return InputError("this is no configuration of a backup", where=where, found=found, next_step=next_step)


def _values(kind: type, raw: object, where: str) -> dict[str, Any]:
    """Known names with values of their types; lists become tuples."""
    if not isinstance(raw, dict):
        raise _refuse(where, "no mapping")
    known = {item.name: item for item in fields(kind)}
    unknown = sorted(set(raw) - set(known))
    missing = [name for name, item in known.items()
               if name not in raw and item.default is MISSING and item.default_factory is MISSING]  # fmt: skip
    if unknown or missing:
        raise _refuse(where, "; ".join([*(f"unknown: {n}" for n in unknown), *(f"missing: {n}" for n in missing)]))
    wrong = [name for name, value in raw.items() if not _fits(str(known[name].type), value)]
    if wrong:
        raise _refuse(where, f"of another type: {', '.join(sorted(wrong))}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()}


def _fits(kind: str, value: object) -> bool:
    if kind.startswith("tuple[str"):
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind.startswith("tuple"):
        return isinstance(value, list)
    if kind.startswith("Mapping"):
        return isinstance(value, dict) and all(isinstance(text, str) for pair in value.items() for text in pair)
    if kind == "int":
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return isinstance(value, {"str": str, "bool": bool}[kind])


def destination(raw: object, where: str) -> Destination:
    """One destination; nothing in it can become an option or a line of its own for the programs that it is given to."""
    found = Destination(**_values(Destination, raw, where))
    where = f"{where} ({found.name})"
    if not NAME.fullmatch(found.name):
        raise _refuse(where, f"a name with other characters: {found.name[:80]!r}")
    checks = {"directory": _directory, "ssh": _ssh, "s3": _s3}
    if found.type not in checks:
        raise _refuse(where, f"type {found.type[:40]!r}, none of {', '.join(checks)}")
    wrong = checks[found.type](found)
    if wrong:
        raise _refuse(where, f"missing, or not usable: {', '.join(wrong)}")
    return found


def _directory(found: Destination) -> list[str]:
    check_path(found.path)
    return ["path"] if found.path == "/" else []


def _ssh(found: Destination) -> list[str]:
    good = {
        "host": HOST.fullmatch(found.host),
        "user": USER.fullmatch(found.user),
        "port": 0 < found.port < 65536,
        "path": found.path == "" or INSIDE.fullmatch(found.path.lstrip("/")),
        "key": "PRIVATE KEY" in found.key,
        "host_keys": found.host_keys and all(HOST_KEY.fullmatch(key) for key in found.host_keys),
    }
    return [name for name, value in good.items() if not value]


def _s3(found: Destination) -> list[str]:
    words = {name: getattr(found, name) for name in ("endpoint", "region", "provider", "access_key", "secret_key")}
    wrong = [name for name, value in words.items() if value and not WORD.fullmatch(value)]
    wrong += [name for name, value in found.options.items() if not (OPTION.fullmatch(name) and WORD.fullmatch(value))]
    inside = found.path == "" or (INSIDE.fullmatch(found.path) and ".." not in found.path)
    return wrong + ([] if BUCKET.fullmatch(found.bucket) else ["bucket"]) + ([] if inside else ["path"])


def parse_config(text: str | None, where: str = PATH) -> Config:
    """Parse and judge."""
    try:
        raw = json.loads(text or "")
    except ValueError:
        raise _refuse(where, "no JSON" if text else "no such file, or an empty one") from None
    values = _values(Config, raw, where)
    each = enumerate(values.get("destinations", ()), 1)
    places = tuple(destination(one, f"{where}: destination {number}") for number, one in each)
    found = Config(**{**values, "destinations": places})
    names = [place.name for place in places]
    check_cluster(found.owner)
    for path in (found.directory, found.ca, found.cert, found.key, *found.pki, *filter(None, [found.metrics_dir])):
        check_path(path)
    good = {
        "destinations: a name twice": len(set(names)) == len(names),
        "endpoints": bool(found.endpoints),
        "verify": found.verify in VERIFY and (found.verify != "none" or not found.snapshot),
        "keep": found.keep > 0,
        "interval_hours": found.interval_hours > 0,
        "old_after_hours": found.old_after_hours > found.interval_hours,
        "host": bool(NAME.fullmatch(found.host)),
        "address": found.address == "" or bool(HOST.fullmatch(found.address)),
        "recipient": found.recipient == "" or "BEGIN CERTIFICATE" in found.recipient,
        "snapshot or pki": found.snapshot or bool(found.pki),
    }
    wrong = [name for name, value in good.items() if not value]
    if wrong:
        raise _refuse(where, f"not usable: {', '.join(wrong)}")
    return found
