# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where runs are killed, and what an end is compared with: every part of it has to be able to fail."""

from __future__ import annotations

import copy
import datetime
import ipaddress
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.faults.anywhere import PLANS, Undisturbed, count, draw, last_task, undisturbed
from tests.faults.ends import API_SERVER, CA, ETCD_CA, ETCD_MANIFEST, PKI, changed, differences, end, tolerance, unsafe

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
SERVER = f"{PKI}/apiserver.crt"


class Authority:
    """A CA that signs."""

    def __init__(self, name: str) -> None:
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.pem = self.sign(name)

    def sign(self, holder: str, address: str = "192.0.2.1") -> str:
        names = x509.SubjectAlternativeName([x509.DNSName(holder), x509.IPAddress(ipaddress.ip_address(address))])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, holder)])
        builder = x509.CertificateBuilder(self.name, subject, self.key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(NOW).not_valid_after(NOW + datetime.timedelta(days=9))
        made = builder.add_extension(names, critical=False).sign(self.key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM).decode()


KUBE, ETCD, OTHER = Authority("kubernetes"), Authority("etcd-ca"), Authority("kubernetes")


def plane(name: str) -> dict[str, Any]:
    """A control plane, as machine_look tells of it."""
    certificates = {CA: KUBE.pem, ETCD_CA: ETCD.pem, SERVER: KUBE.sign(name), f"{PKI}/etcd/peer.crt": ETCD.sign(name)}
    manifest = f"spec:\n    - --name={name}\n    - --initial-cluster={name}=x\n    - --initial-cluster-state=existing\n"
    return {
        "certificates": certificates,
        "configs": {API_SERVER: "server", ETCD_MANIFEST: manifest},
        "files": ["600 /etc/kubernetes/admin.conf"],
        "left": [],
        "busy": False,
        "services": {"kubelet": "active"},
        "data": True,
        "healthy": True,
        "members": members("cp1", "cp2", "cp3"),
        "claims": [],
        "serves": True,
        "backends": [],
        "vip": False,
    }


def members(*names: str, learner: str = "none") -> dict[str, Any]:
    rows = [{"ID": f"id-{name}", "name": name} | ({"isLearner": True} if name == learner else {}) for name in names]
    return {"header": {"cluster_id": "1"}, "members": rows}


def balancer() -> dict[str, Any]:
    there = {"certificates": {"/etc/haproxy/kube-ca.crt": KUBE.pem}, "configs": {"/etc/haproxy/haproxy.cfg": "x"}}
    # HAProxy listens where API servers do.
    told = {"members": None, "data": False, "healthy": False, "serves": True, "vip": True, "backends": ["cp1 UP"]}
    return plane("lb1") | there | told


def whole() -> dict[str, Any]:
    return {**{name: plane(name) for name in ("cp1", "cp2", "cp3")}, "lb1": balancer()}


def api() -> dict[str, Any]:
    status = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {"kubeletVersion": "v1.36.3"},
        "addresses": [{"address": "192.0.2.1"}],
    }
    items: list[dict[str, Any]] = [
        {"kind": "Node", "metadata": {"name": name}, "spec": {}, "status": copy.deepcopy(status)}
        for name in ("cp1", "cp2", "cp3")
    ]
    items += [lease("kube-node-lease", name, name) for name in ("cp1", "cp2", "cp3")]
    items.append(lease("kube-system", "quorum-kubeadm", ""))
    return {"items": items, "secrets": ["something"]}


def lease(namespace: str, name: str, holder: str) -> dict[str, Any]:
    return {"kind": "Lease", "metadata": {"namespace": namespace, "name": name}, "spec": {"holderIdentity": holder}}


Change = Callable[[dict[str, Any], dict[str, Any]], object]
CHANGES: dict[str, Change] = {
    "members": lambda looks, api: set_all(looks, "members", members("cp1", "cp2")),
    "members: lacks ['cp3 voter'], has ['cp3 learner']": lambda looks, api: set_all(
        looks, "members", members("cp1", "cp2", "cp3", learner="cp3")
    ),
    "never started voter": lambda looks, api: set_all(looks, "members", members("cp1", "cp2", "cp3", "")),
    "nodes cp1 ready": lambda looks, api: api["items"][0]["status"].update(conditions=[]),
    "nodes cp1 cordoned": lambda looks, api: api["items"][0]["spec"].update(unschedulable=True),
    "nodes cp2 cordoned": lambda looks, api: api["items"][1]["metadata"].update(
        annotations={"quorum.kubeadm/cordoned": ""}
    ),
    "nodes cp1 taints": lambda looks, api: api["items"][0]["spec"].update(taints=[{"key": "k", "effect": "NoExecute"}]),
    "nodes cp1 labels": lambda looks, api: api["items"][0]["metadata"].update(labels={"a": "b"}),
    "nodes cp1 version": lambda looks, api: api["items"][0]["status"].update(nodeInfo={"kubeletVersion": "v1.35.4"}),
    "nodes cp1 addresses": lambda looks, api: api["items"][0]["status"].update(addresses=[]),
    "nodes cp3": lambda looks, api: api["items"].pop(2),
    "leases": lambda looks, api: api["items"].append(lease("kube-node-lease", "cp4", "cp4")),
    "run lock": lambda looks, api: api["items"][-1]["spec"].update(holderIdentity="somebody"),
    "secrets": lambda looks, api: api["secrets"].append("bootstrap-token-abcdef"),
    "etcd's claims": lambda looks, api: looks["cp2"].update(claims=["quorum.kubeadm/joins/x"]),
    "VIP": lambda looks, api: looks["cp1"].update(vip=True),
    "machines cp1 certificates": lambda looks, api: looks["cp1"]["certificates"].update(
        {SERVER: KUBE.sign("cp1", "192.0.2.9")}
    ),
    "machines cp2 certificates": lambda looks, api: looks["cp2"]["certificates"].pop(SERVER),
    "machines cp1 configs": lambda looks, api: looks["cp1"]["configs"].update({API_SERVER: "another"}),
    "machines cp2 configs": lambda looks, api: looks["cp2"]["configs"].update({ETCD_MANIFEST: "another"}),
    "machines cp1 files": lambda looks, api: looks["cp1"].update(files=["644 /etc/kubernetes/admin.conf"]),
    "machines cp1 left": lambda looks, api: looks["cp1"].update(left=["/etc/kubernetes/quorum-kubeadm.json"]),
    "machines cp1 busy": lambda looks, api: looks["cp1"].update(busy=True),
    "machines cp1 services": lambda looks, api: looks["cp1"].update(services={"kubelet": "failed"}),
    "machines cp1 data": lambda looks, api: looks["cp1"].update(data=False),
    "machines cp1 API server": lambda looks, api: looks["cp1"].update(serves=False),
    "machines lb1 backends": lambda looks, api: looks["lb1"].update(backends=["cp1 UP", "cp2 DOWN"]),
}


def set_all(looks: dict[str, Any], part: str, value: object) -> None:
    for name in ("cp1", "cp2", "cp3"):
        looks[name][part] = value


@pytest.mark.parametrize("where", CHANGES)
def test_an_end_that_differs_is_told(where: str) -> None:
    want, looks, told = end(whole(), api()), whole(), api()
    CHANGES[where](looks, told)
    found = differences(json.loads(json.dumps(want.same)), json.loads(json.dumps(end(looks, told).same)))
    assert len(found) == 1
    assert where in found[0]


def test_an_end_with_new_certificates_and_other_beginnings_is_the_same() -> None:
    looks = whole()
    manifest = looks["cp3"]["configs"][ETCD_MANIFEST]
    looks["cp3"]["configs"][ETCD_MANIFEST] = manifest.replace("cp3=x", "cp1=x,cp3=x").replace("existing", "new")
    found = end(looks, api())
    assert looks["cp1"]["certificates"][SERVER] != whole()["cp1"]["certificates"][SERVER]
    assert differences(end(whole(), api()).same, found.same) == []
    assert found.wrong == []


def test_a_value_that_is_there_twice_is_a_difference() -> None:
    assert differences({"a": ["x"]}, {"a": ["x", "x"]}) == ["a: lacks [], has []"]


@pytest.mark.parametrize(("path", "words"), [(CA, "2 CAs"), (ETCD_CA, "2 CAs of etcd")])
def test_a_second_ca_is_told(path: str, words: str) -> None:
    looks = whole()
    looks["cp2"]["certificates"][path] = OTHER.pem
    assert words in end(looks, api()).wrong
    assert words in unsafe(looks, 3, True)


def test_a_certificate_that_its_ca_has_not_signed_is_told() -> None:
    looks = whole()
    looks["cp2"]["certificates"][SERVER] = OTHER.sign("cp2")
    assert end(looks, api()).wrong == [f"cp2: {SERVER} is not by {CA}"]


def test_what_a_run_is_not_about_stays() -> None:
    looks = whole()
    before = end(looks, api()).kept
    looks["cp1"]["certificates"][SERVER] = KUBE.sign("cp1")
    looks["cp2"]["certificates"].pop(SERVER)
    looks["cp3"]["members"] = looks["cp2"]["members"] = members("cp1", "cp2", "cp3")
    set_all(looks, "members", {**members("cp1", "cp2"), "members": [{"ID": "new", "name": "cp2"}]})
    now = end(looks, api()).kept
    assert changed(before, before, "cp2") == []
    assert changed(before, now, "cp2") == [f"cp1: another {SERVER}", "cp1: no etcd member any more", "cp3: no etcd "
                                           "member any more"]  # fmt: skip
    assert f"cp2: no {SERVER} any more" in changed(before, now, "cp1")
    assert "cp2: another etcd member" in changed(before, now, "cp1")


def test_what_serves_is_counted() -> None:
    looks = whole()
    assert str(tolerance(looks)) == "etcd 3 of 3, 3 API servers"
    looks["cp3"].update(healthy=False, members=None, serves=False)
    looks["cp1"]["members"] = members("cp1", "cp2", "cp3", "", learner="")
    assert str(tolerance(looks)) == "etcd 2 of 3, 1 learner, 2 API servers"


def test_a_state_that_must_not_be_is_told() -> None:
    looks = whole()
    assert unsafe(looks, 3, True) == []
    looks["cp3"].update(healthy=False, serves=False)
    assert unsafe(looks, 2, True) == []
    assert unsafe(looks, 3, True) == ["2 API servers serve, 3 should"]
    looks["cp2"].update(healthy=False)
    assert unsafe(looks, 2, True) == ["etcd has 1 healthy of 3 voters"]
    assert unsafe(looks, 2, False) == ["etcd has 1 healthy of 3 voters"]


def test_no_cluster_is_unsafe_only_where_there_was_one() -> None:
    looks = whole()
    for look in looks.values():
        look.update(members=None, healthy=False, serves=False)
    assert unsafe(looks, 0, False) == []
    assert unsafe(looks, 0, True) == ["etcd has 0 healthy of 0 voters"]


def test_two_learners_and_two_clusters_are_unsafe() -> None:
    looks = whole()
    rows = members("cp1", "cp2", "cp3", "x", "y")
    rows["members"][3]["isLearner"] = rows["members"][4]["isLearner"] = True
    set_all(looks, "members", rows)
    assert unsafe(looks, 3, True) == ["etcd has 2 learners"]
    looks = whole()
    looks["cp3"]["members"] = {**members("cp1", "cp2", "cp3"), "header": {"cluster_id": "2"}}
    assert unsafe(looks, 3, True) == ["2 clusters of etcd"]


KNOWN = Undisturbed("site", 100.0, 300, "", {})


def test_a_point_is_drawn_from_the_seed_and_its_number_alone() -> None:
    points = [draw(7, "anywhere-site", number, KNOWN) for number in range(1, 200)]
    assert points == [draw(7, "anywhere-site", number, KNOWN) for number in range(1, 200)]
    assert points != [draw(8, "anywhere-site", number, KNOWN) for number in range(1, 200)]
    timed, tasks = [one for one in points if not one.nth], [one for one in points if one.nth]
    assert 60 < len(timed) < 140
    assert min(one.seconds for one in timed) < 10
    assert 85 < max(one.seconds for one in timed) <= 95
    assert 1 <= min(one.nth for one in tasks) < 30
    assert 270 < max(one.nth for one in tasks) <= 300


def test_at_least_sixty_points_are_planned() -> None:
    assert sum(len(plan.operations) for plan in PLANS.values()) >= 60


def test_undisturbed_runs_are_found_among_results() -> None:
    runs = [asdict(KNOWN), {"kind": "point"}, {**asdict(KNOWN), "operation": "bad", "problem": "it failed"}]
    assert undisturbed(runs) == {"site": KNOWN}


def test_tasks_are_counted_and_the_last_one_is_named() -> None:
    text = "PLAY [x] ****\n\nTASK [a | A] *****\nok: [cp1]\n\nTASK [quorum.kubeadm.kubelet : b | B] ***\nTASK without\n"
    assert count(text) == 2
    assert last_task(text) == "kubelet : b | B"
    assert last_task("PLAY [x] ***\n") == "none yet"
