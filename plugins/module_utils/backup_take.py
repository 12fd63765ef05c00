# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One backup on one host: a snapshot that has been judged, the PKI, the manifest, and the copies elsewhere."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from . import backup_pki, backup_set
from .backup_config import Config
from .backup_places import PART, Place, private_file, sha256_of
from .backup_plan import Limits, manifest_last, surplus
from .backup_set import File, Manifest
from .backup_status import Copy
from .errors import CommandError, KubeadmError
from .etcd_alone import starter
from .etcd_api import EtcdApi, member_id
from .etcd_options import connector
from .host_io import Host
from .host_kubernetes import manifest_image, parse_version
from .snapshot_run import Io, saved, saver
from .snapshot_store import SnapshotStore
from .snapshot_tools import Tools

RUN, PLAIN = "/run/quorum-kubeadm", "backup-pki-"
API_SERVER = "/etc/kubernetes/manifests/kube-apiserver.yaml"


@dataclass(frozen=True)
class Set:
    """A finished set in the host's own directory."""

    stem: str
    manifest: Manifest
    hashes: Mapping[str, str]


def snapshot(config: Config, host: Host, *, effects: bool = True) -> dict[str, Any]:
    """A snapshot in the directory, by etcd_snapshot's own code; in check mode what it needs and where it would be."""
    params = config.snapshot_params()
    store = SnapshotStore(config.directory)
    tools = Tools(host, config.etcdctl, config.etcdutl, params["wait_seconds"])
    start = starter(host, params) if config.verify == "drill" else None
    return saved(Io(store, tools, connector(params), saver(tools, store, params), start=start), params, effects=effects)


def kube_version(host: Host, config: Config) -> str:
    """What runs here; where no API server does, what the inventory says."""
    image = manifest_image(host.read_text(API_SERVER) or "") or ""
    return parse_version(image.rpartition(":")[2]) or config.kube_version


@contextmanager
def memory(work: str) -> Iterator[str]:
    """A directory that is not on a disk, for what is to be encrypted; where there is none, the one to work in."""
    if not os.path.isdir("/run"):
        yield work
        return
    os.makedirs(RUN, mode=0o700, exist_ok=True)
    # A run that was killed has left its own; of two at a time the host's lock lets in one.
    for name in os.listdir(RUN):
        if name.startswith(PLAIN):
            shutil.rmtree(os.path.join(RUN, name), ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=RUN, prefix=PLAIN) as folder:
        yield folder


def pki(config: Config, host: Host, stem: str, work: str) -> str:
    """The archive in `work`; its name."""
    if not config.recipient:
        backup_pki.archive(config.pki, os.path.join(work, stem + backup_set.ARCHIVE))
        return stem + backup_set.ARCHIVE
    with memory(work) as folder:
        plain = os.path.join(folder, "pki.tar.gz")
        backup_pki.archive(config.pki, plain)
        target = os.path.join(work, stem + backup_set.ENCRYPTED)
        backup_pki.encrypt(host, plain, config.recipient, target, folder)
    return stem + backup_set.ENCRYPTED


def take(config: Config, host: Host, api: EtcdApi, now: float) -> Set:
    """Snapshot, PKI, manifest: the set is one from the moment its manifest has its name."""
    store = SnapshotStore(config.directory)
    told: Mapping[str, Any] = {}
    if config.snapshot:
        told = snapshot(config, host)
        stem = os.path.basename(told["path"]).removesuffix(backup_set.DB)
    else:
        store.require_private()
        stem = backup_set.pki_stem(config.cluster, config.host, now)
    with store.workshop() as work:
        names = [pki(config, host, stem, work)] if config.pki else []
        files = {name: File(os.path.getsize(f"{work}/{name}"), sha256_of(f"{work}/{name}")) for name in names}
        if told:
            files[stem + backup_set.DB] = File(told["size_bytes"], told["sha256"])
        manifest = _manifest(config, host, api, told, files)
        text = manifest.text()
        said = private_file(f"{work}/{stem}{backup_set.MANIFEST}", text.encode())
        backup_set.parse_manifest(text, os.path.basename(said))
        for name in [*names, os.path.basename(said)]:
            store.place(f"{work}/{name}", os.path.join(config.directory, name))
    own = os.path.join(config.directory, stem + backup_set.MANIFEST)
    hashes = {**{name: file.sha256 for name, file in files.items()}, os.path.basename(own): sha256_of(own)}
    return Set(stem, manifest, hashes)


def _manifest(config: Config, host: Host, api: EtcdApi, told: Mapping[str, Any], files: dict[str, File]) -> Manifest:
    status = api.status()
    name = backup_set.parse_name(next(iter(files)))
    return Manifest(
        kind=config.kind,
        cluster=config.cluster,
        cluster_id=member_id((status.get("header") or {}).get("cluster_id")),
        revision=int(told.get("revision") or 0),
        total_keys=int(told.get("total_keys") or 0),
        hash=str(told.get("etcdutl_hash") or ""),
        taken_at=backup_set.iso(name.taken if name else 0.0),
        taken_by=config.host,
        etcd_version=str(status.get("version") or ""),
        kube_version=kube_version(host, config),
        files=files,
        size=int(told.get("size_bytes") or 0),
        verified=config.verify if told else "",
    )


def tidy(config: Config, stem: str, now: float) -> list[str]:
    """Delete what the host's own directory shall not keep any longer."""
    store = SnapshotStore(config.directory)
    going = surplus(store.names(), config.owner, stem, Limits(config.keep, config.max_age_days), now)
    store.remove(going)
    return going


def halves(names: Sequence[str], owner: str) -> list[str]:
    """What copies of this cluster's sets have left that ended before they were whole: only one is made at a time."""
    parts = [name for name in names if name.startswith(PART)]
    return [name for name in parts if (said := backup_set.parse_name(name[len(PART) :])) and said.cluster == owner]


def copy(done: Set, place: Place, config: Config, clock: Callable[[], float]) -> Copy:
    """Bring the set to one place, the manifest last, and only then delete what is too old there."""
    began = clock()
    try:
        for name in manifest_last(done.hashes):
            place.store(os.path.join(config.directory, name), name, done.hashes[name])
        limits, names = Limits(config.keep, config.max_age_days), place.names()
        place.remove([*halves(names, config.owner), *surplus(names, config.owner, done.stem, limits, clock())])
    except KubeadmError as exc:
        return Copy(place.told.name, str(exc), round(clock() - began, 1))
    return Copy(place.told.name, "", round(clock() - began, 1))


def reachable(endpoints: Sequence[str], connect: Callable[[str], EtcdApi]) -> EtcdApi:
    """The first member for which a majority answers."""
    told = []
    for url in endpoints:
        api = connect(url)
        try:
            api.read()
        except KubeadmError as exc:
            told.append(f"{url}: {exc.found or exc.what}")
        else:
            return api
    raise CommandError(
        "no member of etcd answers a read for which it asks the others",
        where=", ".join(endpoints),
        found="; ".join(told),
        next_step="bring etcd's majority back; run etcd_info to see its members",
    )
