# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rotation with two real API servers over one etcd, proven by the raw values: which key is in their prefix."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import encryption_rewrite, encryption_stored
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_api import EtcdApi, text, tls_transport
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import open_api
from tests.integration.servers import Cluster, client_context, start_cluster, start_etcd
from tests.integration.support import run_module

NAMES = [f"secret-{number:03}" for number in range(12)]
Keys = list[str]


class Pair:
    """Two API servers, each with a configuration of its own."""

    def __init__(self, directory: Path) -> None:
        self.etcd = start_etcd(directory)
        self.etcd.server.wait(client_context(self.etcd.ca, self.etcd.client), "/health")
        self.files = [directory / name / "config.yaml" for name in ("one", "two")]
        run_module("encryption_config", {"path": str(self.files[0])})
        self.files[1].parent.mkdir()
        self.files[1].write_bytes(self.files[0].read_bytes())
        self.servers: list[Cluster] = []
        for number, file in enumerate(self.files):
            made = start_cluster(directory / f"api{number}", self.etcd, {"encryption-provider-config": file})
            self.servers.append(made)
        for server in self.servers:
            self.ready(server)

    def ready(self, server: Cluster) -> None:
        server.server.wait(client_context(server.authority.pair, server.admin), "/readyz")

    def stop(self) -> None:
        for server in self.servers:
            server.server.stop()
        self.etcd.server.stop()

    def turn(self, number: int, keys: Keys, **more: Any) -> None:
        """Other keys for one of them."""
        done = run_module("encryption_key", {"path": str(self.files[number]), "state": "present", "keys": keys, **more})
        assert not done.get("failed"), done
        server = self.servers[number]
        server.server = server.server.again()
        self.ready(server)
        self.both_read_everything()

    def both_read_everything(self) -> None:
        for server in self.servers:
            found = server.kubectl_json("get", "secrets", "-n", "default")["items"]
            values = {one["metadata"]["name"]: base64.b64decode(one["data"]["word"]).decode() for one in found}
            assert values == {name: f"word of {name}" for name in NAMES}

    def raw(self, key: str) -> bytes:
        (pair,) = self.api.call("kv/range", {"key": text(key)})["kvs"]
        return base64.b64decode(pair["value"])

    @property
    def api(self) -> EtcdApi:
        files = (self.etcd.ca.cert, self.etcd.client.cert, self.etcd.client.key)
        return EtcdApi(self.etcd.url, tls_transport(*map(str, files)))

    def prefixes(self) -> set[bytes]:
        return {self.raw(f"/registry/secrets/default/{name}")[:26] for name in NAMES}

    def rewrite(self, check: bool = False, **more: Any) -> dict[str, Any]:
        kubeconfig = str(self.servers[0].kubeconfig())
        return run_module(
            "encryption_rewrite", {"kubeconfig": kubeconfig, "resources": ["secrets"], **more}, check=check
        )

    def stored(self, **more: Any) -> dict[str, Any]:
        files = {"ca": self.etcd.ca.cert, "cert": self.etcd.client.cert, "key": self.etcd.client.key}
        given = {"endpoints": [self.etcd.url], **{name: str(path) for name, path in files.items()}, **more}
        return run_module("encryption_stored", given)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("rotation"))
    items = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "stringData": {"word": f"word of {name}"},
        }
        for name in NAMES
    ]
    made.servers[0].kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    yield made
    made.stop()


def test_a_key_is_rotated_while_two_api_servers_serve(pair: Pair) -> None:
    first, second = b"k8s:enc:secretbox:v1:key1:", b"k8s:enc:secretbox:v1:key2:"
    assert pair.prefixes() == {first}
    pair.turn(0, ["key1", "key2"], make="key2")
    source = base64.b64encode(pair.files[0].read_bytes()).decode()
    pair.turn(1, ["key1", "key2"], source_b64=source)
    assert pair.prefixes() == {first}, "a key that is added writes nothing"
    pair.turn(0, ["key2", "key1"])
    pair.turn(1, ["key2", "key1"])
    counts = pair.stored()["counts"]
    assert (counts["secretbox:key1"], "secretbox:key2" in counts) == (len(NAMES), False)

    checked = pair.rewrite(check=True)
    assert (checked["changed"], checked["counts"]["secrets"]["seen"]) == (False, len(NAMES))
    assert pair.prefixes() == {first}, "check mode writes nothing"
    metadata = pair.servers[0].kubectl_json("get", "secret", NAMES[0])["metadata"]
    done = pair.rewrite()
    assert done["counts"] == {"secrets": {"seen": len(NAMES), "rewritten": len(NAMES), "current": 0, "gone": 0}}
    assert done["changed"]
    assert "word of" not in json.dumps(done)
    assert pair.prefixes() == {second}
    assert pair.stored()["counts"] == {"secretbox:key2": len(NAMES)}
    after = pair.servers[0].kubectl_json("get", "secret", NAMES[0])["metadata"]
    assert after["resourceVersion"] != metadata["resourceVersion"]
    assert {**after, "resourceVersion": ""} == {**metadata, "resourceVersion": ""}, "nothing but the version changes"

    again = pair.rewrite()
    assert (again["changed"], again["counts"]["secrets"]["current"]) == (False, len(NAMES))
    pair.turn(0, ["key2"], unused=["key1"])
    pair.turn(1, ["key2"], unused=["key1"])
    assert pair.prefixes() == {second}


def test_a_value_that_no_api_server_lists_is_seen_in_etcd(pair: Pair) -> None:
    etcd = pair.api
    left = "/registry/example.org/widgets/default/left"
    etcd.call("kv/put", {"key": text(left), "value": text("k8s:enc:aescbc:v1:old:xyz")})
    plain = "/registry/secrets/default/plain"
    etcd.call("kv/put", {"key": text(plain), "value": text("k8s\0 never encrypted")})
    try:
        found = pair.stored()
        assert (found["counts"]["aescbc:old"], found["counts"]["identity"]) == (1, 1)
        assert (found["names"]["aescbc:old"], found["names"]["identity"]) == ([left], [plain])
    finally:
        for key in (left, plain):
            etcd.call("kv/deleterange", {"key": text(key)})


def test_a_resource_that_the_api_does_not_have_is_refused_before_anything_is_written(pair: Pair) -> None:
    for name in ("widgets", "widgets.example.org", "widgets.apps"):
        result = pair.rewrite(resources=["secrets", name])
        assert result["failed"]
        assert name in result["msg"]


def test_resources_of_groups_and_without_a_namespace_are_written_too(pair: Pair) -> None:
    result = pair.rewrite(resources=["clusterroles.rbac.authorization.k8s.io", "configmaps"])
    roles = result["counts"]["clusterroles.rbac.authorization.k8s.io"]
    assert roles["seen"] > 10
    assert (roles["rewritten"], roles["current"]) == (0, roles["seen"]), "they are not encrypted, so nothing is stale"


def test_pages_are_read_to_the_end(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encryption_rewrite, "PAGE", 5)
    monkeypatch.setattr(encryption_stored, "PAGE", 5)
    given = {"kubeconfig": str(pair.servers[0].kubeconfig()), "endpoints": [], "timeout": 30}
    api = open_api(given, dry_run=False)
    kind = encryption_rewrite.kind_of(api, "secrets")
    assert encryption_rewrite.rewrite(api, kind, effects=True).seen == len(NAMES)
    etcd = pair.api
    stored = encryption_stored.census(etcd, ["secrets"])
    assert stored.counts["secretbox:key2"] == len(NAMES)
    assert stored.read == int(etcd.call("kv/range", {"key": text("/registry/"), "range_end": text("/registry0"),
                                                     "count_only": True})["count"])  # fmt: skip
