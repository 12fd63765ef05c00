"""The etcd members of an API server: told, used, and waited for in between."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.api_server import (
    etcd_servers,
    is_told,
    own_url,
    wait_until_used,
    wanted,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError

ONE, TWO = "https://10.0.0.61:2379", "https://10.0.0.62:2379"
DOCUMENTS: list[dict[str, Any]] = [
    {"kind": "InitConfiguration", "localAPIEndpoint": {"advertiseAddress": "10.0.0.21", "bindPort": 6443}},
    {"kind": "ClusterConfiguration", "etcd": {"external": {"endpoints": [ONE, TWO]}}},
]


class FakeHost:
    """Its API server changes its arguments after some looks, and is ready some looks later."""

    def __init__(self, manifest: str | None, changes: int = 0, ready: int = 0) -> None:
        self.manifest, self.changes, self.ready = manifest, changes, ready
        self.looks = 0

    def exists(self, _path: str) -> bool:
        return self.manifest is not None

    def read(self, _path: str) -> str:
        return self.manifest or ""

    def api_arguments(self) -> str:
        self.looks += 1
        servers = f"{ONE},{TWO}" if self.looks > self.changes else ONE
        return f"kube-apiserver\0--etcd-servers={servers}\0--v=2"

    def api_ready(self, url: str) -> bool:
        assert url == "https://10.0.0.21:6443"
        return self.looks > self.ready


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"    - --etcd-servers={ONE},{TWO}\n    - --x", [ONE, TWO]),
        (f'"--etcd-servers={ONE}",', [ONE]),
        ("", []),
        ("--etcd-cafile=/x", []),
    ],
)
def test_members_in_a_manifest(text: str, found: list[str]) -> None:
    assert etcd_servers(text) == found


def test_what_the_documents_want() -> None:
    assert wanted(DOCUMENTS) == {ONE, TWO}
    assert wanted([{"kind": "ClusterConfiguration", "etcd": {"local": {}}}]) == set()
    assert own_url(DOCUMENTS) == "https://10.0.0.21:6443"


@pytest.mark.parametrize(
    ("manifest", "told"),
    [(f"--etcd-servers={TWO},{ONE}", True), (f"--etcd-servers={ONE}", False), (None, False)],
)
def test_the_order_of_members_is_no_change(manifest: str | None, told: bool) -> None:
    assert is_told(FakeHost(manifest), DOCUMENTS) is told


def test_the_old_server_that_answers_is_not_enough() -> None:
    host = FakeHost(None, changes=3, ready=0)
    wait_until_used(host, DOCUMENTS, 10, clock=lambda: 0.0, sleep=lambda _seconds: None)
    assert host.looks == 4


def test_a_server_that_does_not_come_up_is_told_with_what_it_runs_with() -> None:
    clock = iter(range(100))
    with pytest.raises(CommandError) as caught:
        wait_until_used(
            FakeHost(None, changes=50), DOCUMENTS, 5, clock=lambda: float(next(clock)), sleep=lambda _seconds: None
        )
    assert f"it runs with {ONE}" in str(caught.value.result())
