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
    [document] = subject.with_secrets(INIT, subject.Secrets(TOKEN), resume=False)
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
