# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup set: the files of one backup, and the manifest that says what they are. Pure.

  etcd-<cluster>-r<revision>-<UTC time>.db               the snapshot of etcd
  etcd-<cluster>-r<revision>-<UTC time>.pki.tar.gz       the PKI of its host; .pki.tar.gz.cms when encrypted
  etcd-<cluster>-r<revision>-<UTC time>.json             the manifest, written last: without it a set is not finished
  pki-<cluster>-<host>-<UTC time>.pki.tar.gz and .json   the PKI of a control plane whose etcd is elsewhere

A set may lie among other sets and other files: its files are found by their common beginning.
"""

from __future__ import annotations

import calendar
import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .errors import InputError
from .snapshot_file import CLUSTER, STAMP, check_cluster, file_name

FORMAT = 1
ETCD, PKI = "etcd", "pki"
DB, MANIFEST, ARCHIVE, ENCRYPTED = ".db", ".json", ".pki.tar.gz", ".pki.tar.gz.cms"
SUFFIXES = (DB, ENCRYPTED, ARCHIVE, MANIFEST)
_NAME = CLUSTER.pattern
_ETCD = re.compile(rf"etcd-(?P<cluster>{_NAME})-r(?P<revision>\d{{1,19}})-(?P<stamp>\d{{8}}T\d{{6}}Z)", re.ASCII)
_PKI = re.compile(rf"pki-(?P<cluster>{_NAME})-(?P<stamp>\d{{8}}T\d{{6}}Z)", re.ASCII)
SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
HEX = re.compile(r"[0-9a-f]{0,16}", re.ASCII)
TIME = "%Y-%m-%dT%H:%M:%SZ"
OTHER_VERSION = "use the version of the collection that took this backup, or a newer one"
DAMAGED = "use another backup; the snapshot alone can be judged by etcd_snapshot with `state: verified`"


@dataclass(frozen=True)
class File:
    """A file of a set as it has to be."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a set is. taken_at: UTC as 2026-01-31T06:00:00Z. files: by name, without the manifest itself.

    hash: of the database's pages, in hexadecimal, as `etcdutl snapshot status` says. A set of kind "pki" has no
    snapshot: its revision and total_keys are 0, its hash is empty.
    """

    kind: str
    cluster: str
    cluster_id: str
    revision: int
    total_keys: int
    hash: str
    taken_at: str
    taken_by: str
    etcd_version: str
    kube_version: str
    files: Mapping[str, File]
    size: int = 0
    verified: str = ""
    format: int = field(default=FORMAT)

    @property
    def snapshot(self) -> str:
        """Name of the snapshot, "" in a set without one."""
        return next((name for name in self.files if name.endswith(DB)), "")

    @property
    def pki(self) -> str:
        """Name of the archive with the PKI, "" in a set without one."""
        return next((name for name in self.files if name.endswith((ARCHIVE, ENCRYPTED))), "")

    @property
    def encrypted(self) -> bool:
        """Whether the PKI can be read only with the private key of the certificate that it was encrypted to."""
        return self.pki.endswith(ENCRYPTED)

    @property
    def seconds(self) -> float:
        """When it was taken, in seconds since the epoch."""
        return parse_time(self.taken_at)

    def age(self, now: float) -> float:
        """Its age in seconds; a clock that went back makes nothing younger than now."""
        return max(now - self.seconds, 0.0)

    def text(self) -> str:
        """As it is written beside the files."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


@dataclass(frozen=True)
class Name:
    """What the common beginning of a set's files says."""

    stem: str
    kind: str
    cluster: str
    revision: int
    taken: float

    @property
    def manifest(self) -> str:
        """The name of the set's manifest."""
        return self.stem + MANIFEST


def etcd_stem(cluster: str, revision: int, now: float) -> str:
    """The beginning of a set with a snapshot, which is called as etcd_snapshot calls it."""
    return file_name(check_cluster(cluster), revision, now).removesuffix(DB)


def pki_stem(cluster: str, host: str, now: float) -> str:
    """The beginning of a set without a snapshot. Each control plane has its own: their keys are not all the same."""
    return f"pki-{check_cluster(f'{cluster}-{host}')}-{time.strftime(STAMP, time.gmtime(now))}"


def parse_name(name: str) -> Name | None:
    """Of which set a file or a stem is, None when it is of none."""
    stem = next((name[: -len(suffix)] for suffix in SUFFIXES if name.endswith(suffix)), name)
    for kind, pattern in ((ETCD, _ETCD), (PKI, _PKI)):
        found = pattern.fullmatch(stem)
        taken = _epoch(found["stamp"], STAMP) if found else None
        if found and taken is not None:
            return Name(stem, kind, found["cluster"], int(found["revision"]) if kind == ETCD else 0, taken)
    return None


def grouped(names: Iterable[str], cluster: str) -> dict[str, list[str]]:
    """The files of each set of exactly this cluster, by stem, the oldest set first.

    A PKI set's name has its host in the cluster's place, so it is asked for by `<cluster>-<host>`.
    """
    found: dict[str, list[str]] = {}
    order: dict[str, tuple[float, int]] = {}
    for name in names:
        said = parse_name(name)
        if said and said.cluster == cluster and name != said.stem:
            found.setdefault(said.stem, []).append(name)
            order[said.stem] = (said.taken, said.revision)
    return {stem: sorted(found[stem]) for stem in sorted(found, key=lambda stem: order[stem])}


def finished(files: Iterable[str]) -> bool:
    """Whether a set has its manifest."""
    return any(name.endswith(MANIFEST) for name in files)


def parse_time(text: str) -> float:
    """Seconds since the epoch."""
    found = _epoch(text, TIME)
    if found is None:
        raise InputError("this is no UTC time", found=repr(text[:40]), next_step="write it as 2026-01-31T06:00:00Z")
    return found


def _epoch(text: str, form: str) -> float | None:
    try:
        return float(calendar.timegm(time.strptime(text, form)))
    except ValueError:
        return None


def iso(now: float) -> str:
    """A time as a manifest has it."""
    return time.strftime(TIME, time.gmtime(now))


def _refuse(where: str, found: str, next_step: str = DAMAGED) -> InputError:
    return InputError("this is no manifest of a backup", where=where, found=found, next_step=next_step)


def _files(raw: object, where: str) -> dict[str, File]:
    stems, files = set(), {}
    for name, said in (raw if isinstance(raw, dict) else {}).items():
        size, sha256 = (said.get("size"), said.get("sha256")) if isinstance(said, dict) else (None, None)
        parsed = parse_name(str(name))
        whole = isinstance(size, int) and size > 0 and SHA256.fullmatch(str(sha256))
        if parsed is None or parsed.stem == name or not whole:
            raise _refuse(where, f"in `files`: {str(name)[:120]!r}")
        stems.add(parsed.stem)
        files[str(name)] = File(int(str(size)), str(sha256))
    if len(stems) != 1:
        raise _refuse(where, f"files of {len(stems)} sets")
    return files


def parse_manifest(text: str | None, where: str) -> Manifest:
    """Parse and judge; refuses what is damaged, of a newer format, or speaks of files outside of its set."""
    try:
        raw = json.loads(text or "")
    except ValueError:
        raise _refuse(where, "no JSON" if text else "nothing") from None
    if not isinstance(raw, dict):
        raise _refuse(where, "no JSON object")
    if raw.get("format") != FORMAT:
        raise _refuse(where, f"format {str(raw.get('format'))[:20]!r}, not {FORMAT}", OTHER_VERSION)
    wrong = [item.name for item in fields(Manifest) if item.name != "files" and not _typed(item, raw.get(item.name))]
    if wrong:
        raise _refuse(where, f"missing, or of another type: {', '.join(wrong)}")
    files = _files(raw.get("files"), where)
    found = Manifest(**{**{item.name: raw[item.name] for item in fields(Manifest)}, "files": files})
    problem = _contradiction(found, where)
    if problem:
        raise _refuse(where, problem)
    return found


def _typed(item: Any, value: object) -> bool:
    # A dataclass's annotations are strings here.
    kind = {"int": int, "str": str}[str(item.type)]
    return isinstance(value, kind) and not isinstance(value, bool) and (kind is str or int(str(value)) >= 0)


def _contradiction(found: Manifest, where: str) -> str:
    """What does not go together in it, or with the names of its files."""
    name = parse_name(next(iter(found.files)))
    owner = found.cluster if found.kind == ETCD else f"{found.cluster}-{found.taken_by}"
    if name is None or (name.kind, name.cluster, name.revision) != (found.kind, owner, found.revision):
        return f"a {found.kind} of {owner} at revision {found.revision}, and files of {name.stem if name else 'none'}"
    if bool(found.snapshot) != (found.kind == ETCD) or (found.kind == PKI and not found.pki):
        return f"a set of kind {found.kind} with {', '.join(sorted(found.files))}"
    if found.snapshot and found.files[found.snapshot].size != found.size:
        return f"two sizes of the snapshot: {found.size} and {found.files[found.snapshot].size}"
    if not (HEX.fullmatch(found.cluster_id) and HEX.fullmatch(found.hash)):
        return "an ID or a hash that is not hexadecimal"
    if _epoch(found.taken_at, TIME) is None:
        return f"no UTC time: {found.taken_at[:40]!r}"
    return "" if where.rpartition("/")[2] in ("", name.manifest) else f"files of {name.stem}"


def defects(manifest: Manifest, seen: Mapping[str, File | None]) -> list[str]:
    """What is wrong with a set's files as they are somewhere; None, or left out: the file is missing."""
    wrong = []
    for name, want in sorted(manifest.files.items()):
        have = seen.get(name)
        if have is None:
            wrong.append(f"{name} is missing")
        elif have.size != want.size:
            wrong.append(f"{name} has {have.size} bytes, not {want.size}")
        elif have.sha256 != want.sha256:
            wrong.append(f"{name} has the SHA-256 {have.sha256}, not {want.sha256}")
    return wrong
