# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host on which etcd is restored: its directory, its programs, what it has of a cluster."""

from __future__ import annotations

import mmap
import os
from typing import Any

from . import etcd_alone
from .etcd_api import EtcdApi
from .etcd_data import DataDir
from .etcd_restore_run import Io
from .host_entries import check_path
from .host_io import Host
from .snapshot_authority import authorities, fingerprint
from .snapshot_run import Io as SnapshotIo
from .snapshot_store import SnapshotStore
from .snapshot_tools import Tools

CA, UNIT = "/etc/kubernetes/pki/ca.crt", "/etc/systemd/system/etcd.service"


def nobody(url: str) -> EtcdApi:
    """A file is judged without etcd."""
    raise AssertionError(f"nobody is asked: {url}")


def unsaved(url: str, path: str) -> None:
    """And none is taken."""
    raise AssertionError(f"nothing is saved: {url}, {path}")


def whose(path: str) -> list[str]:
    """The CAs that a snapshot speaks of."""
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return authorities(content)


def world(params: dict[str, Any]) -> Io:
    """This host."""
    host, seconds = Host(), params["wait_seconds"]
    data = DataDir(check_path(params["data_dir"]))
    tools = Tools(host, "", check_path(params["etcdutl"]), seconds)
    return Io(
        data=data,
        snapshots=SnapshotIo(SnapshotStore(data.work), tools, nobody, unsaved),
        program=lambda folder: etcd_alone.program(host, params["etcd"], params["ctr"], folder),
        settle=lambda program, folder: etcd_alone.settle(host, program, folder, seconds),
        sealed=etcd_alone.sealed,
        token=lambda: f"quorum-{os.urandom(8).hex()}",
        authorities=whose,
    )


def known(host: Host | None = None) -> dict[str, Any]:
    """Which cluster's CA this host has, and whether etcd is a service of it."""
    host = host or Host()
    return {"ca": fingerprint((host.read_text(CA) or "").encode()), "service": host.exists(UNIT)}
