# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`site` from blank machines to its second run, in the order of the file."""

from __future__ import annotations

import json
import stat
from typing import Any

import pytest

from tests.e2e.support import PRIVATE, TOKEN, ProcessWatch, Run, Site, secrets_in

LEFT_OVER = r"grep -rlE '{pattern}' /tmp /var/tmp ~/.ansible /run --exclude-dir=secrets --exclude-dir=k8s.io || true"
BUDGET = {"cp": 45, "w": 25}
BUDGET_AGAIN = {"cp": 15, "w": 10}


def without(name: str) -> Any:
    """A change of the inventory: one host is gone."""

    def change(children: dict[str, Any]) -> None:
        for group in children.values():
            group["hosts"].pop(name, None)

    return change


def in_order(*names: str) -> Any:
    """A change of the inventory: the control planes in another order."""

    def change(children: dict[str, Any]) -> None:
        hosts = children["kube_control_plane"]["hosts"]
        children["kube_control_plane"]["hosts"] = {name: hosts[name] for name in names}

    return change


def assert_within(run: Run, budget: dict[str, int]) -> None:
    over = {
        host: calls
        for host, calls in run.calls().items()
        for kind, most in budget.items()
        if host.startswith(kind) and calls > most
    }
    assert not over, f"remote calls over the budget {budget}: {over}"


@pytest.fixture(scope="session")
def first(site: Site) -> tuple[Run, ProcessWatch]:
    """The run from blank machines, as loud as Ansible can be, without w2."""
    with ProcessWatch() as watch:
        run = site.play("site.yml", "-vvvv", inventory=site.edit(without("w2")))
    (site.work / "first.log").write_text(run.text, encoding="utf-8")
    return run, watch


def test_blank_machines_become_a_verified_cluster(site: Site, first: tuple[Run, ProcessWatch]) -> None:
    run, _watch = first
    assert run.status == 0, run.end()
    assert run.verify["ok"] is True
    assert run.verify["counts"]["fail"] == 0
    nodes = json.loads(site.kubectl("get", "nodes", "-o", "json"))["items"]
    assert sorted(node["metadata"]["name"] for node in nodes) == ["cp1", "cp2", "cp3", "w1"]
    zones = {node["metadata"]["name"]: node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes}
    assert zones["cp1"] != zones["cp2"]
    assert_within(run, BUDGET)
    mode = site.cluster.kubeconfig.stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_no_secret_is_in_the_log_or_in_a_process(site: Site, first: tuple[Run, ProcessWatch]) -> None:
    run, watch = first
    assert watch.looks > 100
    assert watch.seen == set()
    assert not TOKEN.findall(run.text)
    assert not PRIVATE.findall(run.text)
    encryption = json.loads(site.on("cp1", "cat", "/etc/kubernetes/encryption/config.yaml"))
    secret = encryption["resources"][0]["providers"][0]["secretbox"]["keys"][0]["secret"]
    assert len(secret) > 20
    assert secret not in run.text
    # Every other 64 hexadecimal digits must be a checksum that is known to be one.
    public = site.on("cp1", "sh", "-c", "cat /srv/bundles/*/manifest.json /var/lib/quorum-kubeadm/receipts/*.json")
    for node in ("cp2", "cp3", "w1", "lb1", "lb2"):
        public += site.on(node, "sh", "-c", "cat /var/lib/quorum-kubeadm/receipts/*.json")
    unknown = [found for found in secrets_in(run.text) if found not in public]
    assert not unknown, f"{len(unknown)} strings that may be certificate keys"


@pytest.mark.parametrize("node", ["cp1", "cp2", "cp3", "w1", "lb1"])
def test_no_secret_is_left_in_a_temporary_file(site: Site, node: str) -> None:
    pattern = r"PRIVATE KEY|\b[a-z0-9]{6}\.[a-z0-9]{16}\b|LS0tLS1CRUdJTiB(FQyB|SU0Eg)?UFJJV"
    assert site.on(node, "sh", "-c", LEFT_OVER.format(pattern=pattern)).split() == []
    assert "/etc/kubernetes/quorum-kubeadm.json" not in site.on(node, "sh", "-c", "ls -d /etc/kubernetes/* || true")


def test_tokens_and_uploaded_certificates_are_gone(site: Site) -> None:
    names = site.kubectl("-n", "kube-system", "get", "secrets", "-o", "name")
    assert "bootstrap-token" not in names
    assert "kubeadm-certs" not in names


def test_what_is_on_by_default(site: Site) -> None:
    """Audit log, no profiling, encryption at rest, file modes; each by its effect."""
    assert int(site.on("cp1", "sh", "-c", "stat -c %s /var/log/kubernetes/audit/audit.log")) > 0
    site.kubectl("-n", "default", "create", "secret", "generic", "e2e", "--from-literal=word=plaintext-e2e")
    stored = site.on(
        "cp1", "etcdctl", "--endpoints=https://127.0.0.1:2379", "--cacert=/etc/kubernetes/pki/etcd/ca.crt",
        "--cert=/etc/kubernetes/pki/etcd/server.crt", "--key=/etc/kubernetes/pki/etcd/server.key",
        "get", "/registry/secrets/default/e2e",
    )  # fmt: skip
    assert "k8s:enc:" in stored
    assert "plaintext-e2e" not in stored
    for node in ("cp1", "cp2", "cp3"):
        manifest = site.on(node, "cat", "/etc/kubernetes/manifests/kube-apiserver.yaml")
        assert "--profiling=false" in manifest
        modes = site.on(node, "sh", "-c", "stat -c '%a %n' /etc/kubernetes/*.conf /etc/kubernetes/manifests/*.yaml")
        assert {line.split()[0] for line in modes.splitlines()} == {"600"}
        assert "readOnlyPort: 0" in site.on(node, "cat", "/var/lib/kubelet/config.yaml") or not site.on(
            node, "sh", "-c", "ss -Hltn sport = :10255"
        )


def test_the_second_run_changes_and_restarts_nothing(site: Site) -> None:
    before = site.cluster.processes()
    run = site.play("site.yml", inventory=site.edit(without("w2")))
    assert run.status == 0, run.end()
    assert run.changed() == {}
    assert run.verify["ok"] is True
    assert_within(run, BUDGET_AGAIN)
    assert site.cluster.processes() == before


def test_no_position_and_no_absence_in_the_inventory_begins_a_second_cluster(site: Site) -> None:
    uid = site.kubectl("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
    for inventory in (site.edit(in_order("cp3", "cp2", "cp1")), site.edit(without("cp1"))):
        run = site.play(
            "site.yml", "--check", "-e", "verify_probe_pods=false", "-e", "verify_timeout=5", inventory=inventory
        )
        assert "starts the cluster" not in run.text, run.end()
        assert "joins as a control plane" not in run.text, run.end()
    extra = [row for row in run.verify["rows"] if row["status"] != "ok"]
    assert any("cp1" in row["found"] + row["subject"] for row in extra), extra
    assert site.kubectl("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}") == uid


def test_a_limited_run_joins_a_worker_and_touches_one_control_plane_besides(site: Site) -> None:
    before = site.cluster.processes()
    run = site.play("site.yml", "--limit", "w2", inventory=site.edit(in_order("cp3", "cp2", "cp1")))
    assert run.status == 0, run.end()
    others = set(run.calls()) - {"w2"}
    assert len(others) <= 1, run.calls()
    assert all(name.startswith("cp") for name in others)
    after = site.cluster.processes()
    assert {name: after[name] for name in after if name != "w2"} == {
        name: before[name] for name in before if name != "w2"
    }


def test_verify_sees_the_whole_cluster(site: Site) -> None:
    run = site.play("playbooks/verify.yml", "-e", "verify_output=json")
    assert run.status == 0, run.end()
    assert '{"verify":' in run.text
    found = {row["check"]: row["status"] for row in run.verify["rows"]}
    for check in ("nodes", "etcd", "vip", "api", "dns", "pod network", "service"):
        assert found[check] == "ok", run.verify


def test_a_version_that_does_not_run_is_refused_with_the_way_to_upgrade(site: Site) -> None:
    before = site.cluster.processes()
    run = site.play("site.yml", "-e", "kube_version=1.36.4")
    assert run.status != 0
    words = " ".join(run.text.split())
    assert f"the cluster runs {site.version}, and site never upgrades" in words
    assert "upgrade.yml" in words
    assert run.changed() == {}
    assert site.cluster.processes() == before
