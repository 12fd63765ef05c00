# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One etcd and one API server for the whole session."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.integration.etcd_cluster import EtcdCluster, Make
from tests.integration.servers import Cluster, Etcd, client_context, start_cluster, start_etcd
from tests.integration.support import run_module

Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """An etcd of one member, over mutual TLS. It also holds the API server's data: write to other keys only."""
    started = start_etcd(tmp_path_factory.mktemp("etcd"))
    try:
        started.server.wait(client_context(started.ca, started.client), "/health")
        yield started
    finally:
        started.server.stop()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, etcd: Etcd) -> Iterator[Cluster]:
    """An API server that is ready."""
    started = start_cluster(tmp_path_factory.mktemp("cluster"), etcd)
    try:
        started.server.wait(client_context(started.authority.pair, started.admin), "/readyz")
        yield started
    finally:
        started.server.stop()


@pytest.fixture(scope="session")
def kubeconfig(cluster: Cluster) -> Path:
    """The administrator's kubeconfig."""
    return cluster.kubeconfig()


@pytest.fixture(scope="session")
def module(kubeconfig: Path) -> Run:
    """Run a module with the administrator's kubeconfig."""

    def run(name: str, check: bool = False, before: Sequence[Path] = (), **args: Any) -> dict[str, Any]:
        return run_module(name, {"kubeconfig": str(kubeconfig), **args}, check=check, before=before)

    return run


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Make etcd clusters of several members that are ended with the test."""
    made: list[EtcdCluster] = []

    def create(*names: str, flags: tuple[str, ...] = ()) -> EtcdCluster:
        made.append(EtcdCluster.create(tmp_path / str(len(made)), names, flags))
        return made[-1]

    yield create
    for cluster in made:
        cluster.stop()
