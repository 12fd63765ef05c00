"""What the fault campaigns write down: every result, the failures first of all."""

from __future__ import annotations

from typing import Any

from tests.faults.__main__ import CAMPAIGNS
from tests.faults.report import SECTIONS, render
from tests.faults.sources import imports, is_control_plane_image

MACHINE = {"cores": 2, "processor": "p", "memory_gib": 1.0, "system": "s", "kernel": "k"}


def results(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"date": "today", "command": "make faults", "machine": MACHINE, "runs": list(runs)}


def test_every_campaign_has_its_section() -> None:
    assert set(CAMPAIGNS) == set(SECTIONS)
    assert "Not run yet: " + ", ".join(SECTIONS) in render({})


def test_failures_are_told_in_one_line() -> None:
    good = {"point": "in kubeadm init", "killed_after": 43.0, "again": 80.4, "problem": ""}
    text = render({"interrupted": results(good, {**good, "problem": "fatal: [cp1]\nFAIL"})})
    assert "| in kubeadm init | 43 s | 80 s | verified |" in text
    assert "| in kubeadm init | 43 s | 80 s | **fatal: [cp1] FAIL** |" in text
    assert "1 of 2 ended with a verified cluster." in text


def test_a_restore_tells_its_first_write_and_the_ratio() -> None:
    row = {"name": "restore_etcd.yml", "seconds": 70.2, "first": 60.0, "before": 160, "given_up": 90, "problem": ""}
    bare = {**row, "name": "the bare commands, restore.sh", "first": 50.0, "problem": "members differ"}
    built = {**row, "name": "a cluster", "first": 0.0, "before": 0}
    text = render({"restore": results(built, row, bare)})
    assert "| restore_etcd.yml | 70 | 60 | 160 | 90 | well |" in text
    assert "**members differ**" in text
    assert "| a cluster | 70 |  |  |  | well |" in text
    assert "took 1.20 times as long" in text


def test_colocated() -> None:
    step = {"name": "`site` again", "seconds": 14.2, "problem": ""}
    assert "| `site` again | 14 | well |" in render({"colocated": results(step)})


def test_rotated_keys() -> None:
    step = {
        "name": "a rotation, undisturbed", "seconds": 300.4, "gap": 0.41, "acknowledged": 5000,
        "stored": "301 k8s:enc:secretbox:v1:key2", "problem": "",
    }  # fmt: skip
    text = render({"rotate-key": results(step, {**step, "acknowledged": 0, "problem": "cp2 reads 3 of 300 Secrets"})})
    assert "| a rotation, undisturbed | 300 | 0.41 | 5000 | 301 k8s:enc:secretbox:v1:key2 | well |" in text
    assert "| 300 |  |  | 301 k8s:enc:secretbox:v1:key2 | **cp2 reads 3 of 300 Secrets** |" in text


def test_external_etcd() -> None:
    step = {"name": "`scale_etcd` to 4: refused", "seconds": 20.2, "problem": "status 0"}
    assert "| `scale_etcd` to 4: refused | 20 | **status 0** |" in render({"external-etcd": results(step)})


def test_sources() -> None:
    run = {
        "suite": "trixie",
        "source": "public",
        "first": 130.2,
        "second": 12.6,
        "fetched": {"cp2": 300.4},
        "problem": "",
    }
    text = render({"sources-trixie": results(run), "sources-broken": results({"broken": "a portal", "problem": "no"})})
    assert "Where the software comes from: trixie" in text
    assert "| public | 130 | 13 | 300 | - | verified, then unchanged; nothing left the lab |" in text
    assert "| a portal | **no** |" in text


def test_what_the_images_cost_is_taken_from_the_report_of_the_run() -> None:
    def task(name: str) -> dict[str, Any]:
        return {"name": name, "call_seconds": 20.5, "wall": 9.0, "alone": 2.0}

    names = ("quorum.kubeadm.kube_bundle : images | Import the release's images", "kube_bundle : pulls | Pull them")
    budget = {"tasks": [*map(task, names), task("quorum.kubeadm.kubelet : Kubelet | images | not this")]}
    assert imports(budget) == {"all hosts": 41.0, "clock": 18.0, "alone": 4.0}


def test_images_that_a_worker_must_not_have() -> None:
    assert is_control_plane_image("registry.k8s.io/kube-apiserver:v1.36.3")
    assert is_control_plane_image("mirror.example/etcd:3.6.16-0")
    assert not is_control_plane_image("registry.k8s.io/kube-proxy:v1.36.3")
    assert not is_control_plane_image("sha256:0123")


def test_etcd_truth() -> None:
    row = {
        "action": "add a learner", "voters": 5, "lost": 2, "ways": "frozen, killed", "wanted": True, "said": "yes",
        "done": "added", "seconds": 3.1, "acknowledged": 200, "gap": 0.41, "problem": "", "cluster": "5-2",
        "checked": 900, "missing": 0,
    }  # fmt: skip
    text = render({"etcd-truth": results(row, {**row, "wanted": False, "said": "x is down", "done": "refused"})})
    assert "| add a learner | 5 | 2 | frozen, killed | yes | 3 | 200 | 0.4 | added |" in text
    assert "| no | 3 | 200 | 0.4 | refused: x is down |" in text
    assert "1 clusters" in text
    assert "1800 of them, 0 lost" in text
    assert "**x**" in render({"etcd-truth": results({**row, "problem": "x"})})


def test_damaged_snapshots() -> None:
    row = {"kind": "one bit flipped", "tried": 200, "refused": 200, "seconds": 21.5, "size": 1234567, "problem": ""}
    text = render({"snapshot-flips": results(row, {**row, "refused": 199, "problem": "bit 7: taken by etcd_restore"})})
    assert "1,234,567 bytes" in text
    assert "| one bit flipped | 200 | 200 | well |" in text
    assert "| one bit flipped | 200 | 199 | **bit 7: taken by etcd_restore** |" in text


def test_killed_anywhere() -> None:
    calm = {
        "kind": "undisturbed",
        "operation": "remove w2",
        "seconds": 12.4,
        "walls": [0.3] * 40,
        "problem": "",
        "same": {"nodes": {}, "machines": {}},
    }
    point = {
        "kind": "point", "number": 1, "seed": 7, "operation": "remove w2", "killed": "3.0 s after its start",
        "reached": True, "during": "kube_lb | drain", "ran": 3.1, "seen": "etcd 3 of 3, 3 API servers", "unsafe": [],
        "refused": 0, "again": 12.6, "orphans": 0, "problem": "",
    }  # fmt: skip
    bad = {**point, "number": 2, "unsafe": ["etcd"], "problem": "unsafe: etcd", "orphans": 1, "refused": 2}
    late = {**point, "number": 3, "reached": False}
    sick = {"nodes": {}, "machines": {"lb1": {"backends": ["cp1 DOWN"], "busy": False}}}
    other = {**calm, "operation": "add w2", "same": sick}
    text = render({"anywhere-remove": {**results(calm, other, point, bad, late), "name": "anywhere-remove"}})
    assert "| remove w2 | 12 | 40 | verified |" in text
    assert "| add w2 | 12 | 40 | **lb1: cp1 DOWN** |" in text
    assert "| 1 | remove w2 | 3.0 s after its start | kube_lb: drain | etcd 3 of 3, 3 API servers | 13 | as " in text
    assert "| 2 | remove w2 | 3.0 s after its start | kube_lb: drain | etcd 3 of 3, 3 API servers | 13 | **uns" in text
    assert "| 3 | remove w2 | not: it ended in 3.1 s |" in text
    assert "2 of 34 planned points (seed 7): 1 ended like an undisturbed run, 1 unsafe states, 1 orphan mem" in text


def test_worker() -> None:
    run = {"what": "added", "names": 7, "seconds": 24.0, "controller": 9.1, "calls": {"w2": 8, "cp1": 1}, "problem": ""}
    slow = {**run, "names": 507, "seconds": 31.0}
    failed = {**run, "seconds": 99.0, "problem": "fatal: [w2]"}
    text = render({"worker": results(run, {**run, "seconds": 22.0}, failed, slow)})
    assert "| added | 7 | 24.0 | 9.1 | cp1 1, w2 8 | verified |" in text
    assert "| added | 7 | 99.0 | 9.1 | cp1 1, w2 8 | **fatal: [w2]** |" in text
    assert "| added | 7 | 23.0 | 25 | yes | 125 |" in text
    assert "| added | 507 | 31.0 | 25 | **no** | 125 |" in text


def test_pairs() -> None:
    run = {"kind": "one controller", "seconds": 3.14, "problem": ""}
    text = render({"pairs": results(run, {**run, "seconds": 4.0}, {**run, "seconds": 6.1, "problem": "too late"})})
    assert "| one controller | 3 | 3.1 | 4.0 | 6.1 | **too late** |" in text


def test_walks() -> None:
    step = {"name": "`reset` of all hosts: blank", "seconds": 14.2, "problem": ""}
    text = render({"reset": results(step), "recover-other": results({**step, "problem": "members: []"})})
    assert "| `reset` of all hosts: blank | 14 | well |" in text
    assert "| `reset` of all hosts: blank | 14 | **members: []** |" in text
