"""kubeadm on a node: plans, markers, secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import kubeadm_run as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, RefusedError

TOKEN = "abcdef.0123456789abcdef"
KEY = "5" * 64
JOIN = [
    {
        "kind": "JoinConfiguration",
        "discovery": {"bootstrapToken": {"caCertHashes": ["sha256:00"]}},
        "nodeRegistration": {"name": "w1"},
    }
]
JOIN_CONTROL_PLANE = [{**JOIN[0], "controlPlane": {}}]
INIT = [{"kind": "InitConfiguration", "nodeRegistration": {"ignorePreflightErrors": ["Swap"]}}]
WORKER_DONE = {"/etc/kubernetes/kubelet.conf": ""}
CONTROL_PLANE_DONE = WORKER_DONE | {f"/etc/kubernetes/manifests/{name}": "" for name in subject.MANIFESTS}


class FakeNode:
    """Files in a dict, kubeadm as a list of calls."""

    def __init__(self, files: dict[str, str], code: int = 0, output: str = "") -> None:
        self.files = dict(files)
        self.code = code
        self.output = output
        self.calls: list[tuple[list[str], str]] = []
        self.marker_while_running = False
        self.modes: dict[str, int] = {}

    def exists(self, path: str) -> bool:
        return path in self.files

    def listed(self, path: str) -> list[str]:
        below = f"{path}/"
        return sorted({name.removeprefix(below).split("/")[0] for name in self.files if name.startswith(below)})

    def read(self, path: str) -> str:
        return self.files[path]

    def write(self, path: str, text: str, mode: int) -> None:
        self.files[path] = text
        self.modes[path] = mode

    def remove(self, path: str) -> None:
        self.files.pop(path, None)

    def chmod(self, path: str, mode: int) -> bool:
        self.modes[path] = mode
        return True

    def run(self, argv: list[str], stdin_document: str, _timeout: float) -> tuple[int, str]:
        self.marker_while_running = subject.MARKER in self.files
        self.calls.append((argv, stdin_document))
        return self.code, self.output

    def journal(self, unit: str, _lines: int) -> str:
        return f"{unit} says why"


def run(node: FakeNode, action: str, documents: list[dict[str, Any]]) -> list[str]:
    plan = subject.make_plan(node, action, documents)
    return subject.apply_plan(node, plan, documents, subject.Secrets(TOKEN, KEY), 10)


EXTERNAL = [*INIT, {"kind": "ClusterConfiguration", "etcd": {"external": {"endpoints": ["https://x:2379"]}}}]


@pytest.mark.parametrize(
    ("action", "documents", "files", "steps"),
    [
        ("join", JOIN, {}, 1),
        ("join", JOIN, WORKER_DONE, 0),
        ("join", JOIN_CONTROL_PLANE, WORKER_DONE, 1),
        ("join", JOIN_CONTROL_PLANE, CONTROL_PLANE_DONE, 0),
        ("init", INIT, CONTROL_PLANE_DONE, 0),
        ("init", INIT, {"/etc/kubernetes/pki/ca.crt": ""}, 1),
        ("ca", INIT, {}, 1),
        ("ca", INIT, {"/etc/kubernetes/pki/ca.crt": ""}, 0),
        ("upload_certs", INIT, CONTROL_PLANE_DONE, 1),
        ("upload_config", INIT, CONTROL_PLANE_DONE, 1),
        ("api_server", EXTERNAL, CONTROL_PLANE_DONE, 1),
        (
            "api_server",
            EXTERNAL,
            {f"{subject.ETC}/manifests/kube-apiserver.yaml": "- --etcd-servers=https://x:2379"},
            0,
        ),
    ],
)
def test_only_what_is_left_is_planned(
    action: str, documents: list[dict[str, Any]], files: dict[str, str], steps: int
) -> None:
    assert len(subject.make_plan(FakeNode(files), action, documents).steps) == steps


UPGRADE = [{"kind": "UpgradeConfiguration", "apply": {}, "node": {"skipPhases": ["addon"]}}]


@pytest.mark.parametrize(
    ("action", "documents", "words"),
    [
        ("upload_all", INIT, "init phase upload-config all"),
        ("upgrade_apply", UPGRADE, "upgrade apply --yes"),
        ("upgrade_node", UPGRADE, "upgrade node"),
        ("upgrade_addons", UPGRADE, "upgrade node phase addon all"),
    ],
)
def test_the_steps_of_an_upgrade_run_on_nodes_that_are_there(
    action: str, documents: list[dict[str, Any]], words: str
) -> None:
    """None of them tells that it is done, so each is run; none leaves a marker, as what it does can be repeated."""
    node = FakeNode(CONTROL_PLANE_DONE)
    run(node, action, documents)
    [(argv, text)] = node.calls
    assert argv == ["kubeadm", *words.split()]
    assert json.loads(text)["kind"] == documents[0]["kind"]
    if documents is UPGRADE:
        assert json.loads(text) == UPGRADE[0]
    assert not node.marker_while_running
    assert subject.MARKER not in node.files
    assert TOKEN not in " ".join(argv)
    assert len(subject.make_plan(node, action, documents).steps) == 1


@pytest.mark.parametrize("action", ["upload_all", "upgrade_apply", "upgrade_node", "upgrade_addons"])
def test_a_step_of_an_upgrade_that_fails_is_told_without_the_kubelets_log(action: str) -> None:
    node = FakeNode(CONTROL_PLANE_DONE, code=1, output=f"[upgrade] boom {TOKEN}")
    with pytest.raises(CommandError, match="boom") as caught:
        run(node, action, UPGRADE)
    assert "kubelet says why" not in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert caught.value.where.startswith("kubeadm ")


def test_only_the_making_of_a_node_is_marked() -> None:
    assert subject.MARKED == ("init", "join")
    assert set(subject.MARKED) <= set(subject.STEPS)


def test_an_unfinished_upgrade_of_the_pods_does_not_refuse_the_rest_of_it() -> None:
    marked = {**CONTROL_PLANE_DONE, subject.MARKER: json.dumps({"action": "upgrade"})}
    node = FakeNode(marked)
    run(node, "upgrade_node", UPGRADE)
    assert json.loads(node.files[subject.MARKER])["action"] == "upgrade", "it is not ours to remove"
    with pytest.raises(RefusedError, match="unfinished upgrade"):
        subject.make_plan(node, "join", JOIN)


def test_a_marker_is_private_and_goes() -> None:
    node = FakeNode({})
    subject.mark(node, "upgrade", 7.9)
    assert subject.unfinished(node) == {"action": "upgrade", "started": 7}
    assert node.modes[subject.MARKER] == 0o600
    subject.unmark(node)
    subject.unmark(node)
    assert subject.unfinished(node) is None


def test_the_marker_stands_while_kubeadm_runs_and_goes_after_success() -> None:
    node = FakeNode({})
    run(node, "join", JOIN)
    assert node.marker_while_running
    assert node.modes[subject.MARKER] == 0o600
    assert subject.MARKER not in node.files


def test_a_failed_run_leaves_the_marker_and_the_next_one_resumes() -> None:
    node = FakeNode({}, code=1, output="boom")
    with pytest.raises(CommandError, match="boom"):
        run(node, "init", INIT)
    assert json.loads(node.files[subject.MARKER])["action"] == "init"
    node.code = 0
    node.files |= CONTROL_PLANE_DONE
    plan = subject.make_plan(node, "init", INIT)
    assert plan.resume
    run(node, "init", INIT)
    sent = json.loads(node.calls[-1][1])
    ignored = sent["nodeRegistration"]["ignorePreflightErrors"]
    assert {"Swap", "DirAvailable--var-lib-etcd", "FileAvailable--etc-kubernetes-manifests-etcd.yaml"} <= set(ignored)


def test_a_first_run_ignores_nothing_by_itself() -> None:
    node = FakeNode({})
    run(node, "init", INIT)
    assert json.loads(node.calls[0][1])["nodeRegistration"]["ignorePreflightErrors"] == ["Swap"]


@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        ("member-removed-20260101T000000Z/wal/0", True),
        ("lost+found", True),
        ("member/wal/0", False),
        ("member-removed", False),
    ],
)
def test_data_that_a_reset_has_kept_do_not_stop_the_next_join(name: str, ignored: bool) -> None:
    node = FakeNode({f"/var/lib/etcd/{name}": ""})
    run(node, "join", JOIN_CONTROL_PLANE)
    assert ("DirAvailable--var-lib-etcd" in node.calls[0][1]) is ignored
    mixed = FakeNode({f"/var/lib/etcd/{name}": "", "/var/lib/etcd/data": ""})
    run(mixed, "join", JOIN_CONTROL_PLANE)
    assert "DirAvailable--var-lib-etcd" not in mixed.calls[0][1]


def test_data_that_were_restored_for_this_beginning_do_not_stop_it() -> None:
    restored = {"/var/lib/etcd/member/quorum-restore.json": "{}", "/var/lib/etcd/member-removed-1/wal/0": ""}
    node = FakeNode(restored)
    run(node, "init", INIT)
    assert "DirAvailable--var-lib-etcd" in node.calls[0][1]
    mixed = FakeNode({**restored, "/var/lib/etcd/data": ""})
    run(mixed, "init", INIT)
    assert "DirAvailable--var-lib-etcd" not in mixed.calls[0][1]


def test_another_actions_marker_is_refused() -> None:
    node = FakeNode({subject.MARKER: json.dumps({"action": "join"})})
    with pytest.raises(RefusedError, match="unfinished join"):
        subject.make_plan(node, "init", INIT)
    assert node.calls == []


def test_a_broken_marker_counts_as_unfinished() -> None:
    plan = subject.make_plan(FakeNode({subject.MARKER: "{", **WORKER_DONE}), "join", JOIN)
    assert plan.resume
    assert len(plan.steps) == 1


def test_secrets_reach_the_documents_and_never_the_arguments() -> None:
    node = FakeNode({})
    run(node, "join", JOIN_CONTROL_PLANE)
    argv, text = node.calls[0]
    sent = json.loads(text)
    assert sent["discovery"]["bootstrapToken"]["token"] == TOKEN
    assert sent["discovery"]["tlsBootstrapToken"] == TOKEN
    assert sent["controlPlane"]["certificateKey"] == KEY
    assert TOKEN not in " ".join(argv)
    assert KEY not in " ".join(argv)
    assert TOKEN not in repr(subject.Secrets(TOKEN, KEY))
    assert "token" not in JOIN[0]["discovery"]["bootstrapToken"]


def test_init_makes_one_short_lived_token_of_ours() -> None:
    [document] = subject.with_secrets(INIT, subject.Secrets(TOKEN))
    [token] = document["bootstrapTokens"]
    assert token["ttl"] == "15m0s"
    assert token["description"] == "quorum.kubeadm"


def test_an_error_shows_both_logs_without_secrets() -> None:
    node = FakeNode({}, code=1, output=f"kubeadm join --token {TOKEN} --certificate-key {KEY}\nno route")
    with pytest.raises(CommandError) as caught:
        run(node, "join", JOIN)
    text = str(caught.value)
    assert "no route" in text
    assert "kubelet says why" in text
    assert TOKEN not in text
    assert KEY not in text


def test_the_kubelets_configuration_is_closed_after_a_join() -> None:
    node = FakeNode({"/var/lib/kubelet/config.yaml": ""})
    run(node, "join", JOIN)
    assert node.modes["/var/lib/kubelet/config.yaml"] == 0o600


@given(st.text(max_size=40), st.from_regex(r"[a-z0-9]{6}\.[a-z0-9]{16}", fullmatch=True))
def test_censor_removes_every_token(around: str, token: str) -> None:
    assert token not in subject.censor(f"{around} {token} {around}")
