"""The certificates of an external etcd: made once, never under another CA, and closed to everybody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import etcd_pki as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeadm_config import etcd_documents, node_inputs
from tests.integration.certificates import Authority, Pair
from tests.unit.plugins.module_utils.test_kubeadm_run import FakeNode

NAMES = ["etcd1", "192.0.2.31", "localhost", "127.0.0.1", "::1"]
DOCUMENTS = etcd_documents(node_inputs({"name": "etcd1", "address": "192.0.2.31"}), "1.36.3", [])
ETCD = 995
NONE = subject.Pair()
PHASES = {phase: path for phase, path, _serves in subject.CERTIFICATES}


class Node(FakeNode):
    """A machine whose kubeadm makes the files of a phase, as kubeadm does: closed, and never over one that is there."""

    def __init__(
        self, authority: Authority, names: list[str] | None = None, groups: dict[str, int] | None = None
    ) -> None:
        super().__init__({})
        self.authority, self.names = authority, names or NAMES
        self.groups = {"etcd": ETCD} if groups is None else groups
        self.owners: dict[str, int] = {}
        self.history: list[tuple[str, int, int]] = []

    def run(self, argv: list[str], stdin_document: str, timeout: float) -> tuple[int, str]:
        if self.code:
            return super().run(argv, stdin_document, timeout)
        phase = argv[-1]
        if phase == "etcd-ca":
            self._make(subject.CA, self.authority.pair)
        else:
            names = self.names if phase in ("etcd-server", "etcd-peer") else []
            self._make(PHASES[phase], self.authority.issue(phase, "etcd1", names=names))
        return super().run(argv, stdin_document, timeout)

    def _make(self, path: str, pair: Pair) -> None:
        assert not self.exists(f"{path}.crt"), "kubeadm would keep it"
        self.files |= {f"{path}.crt": pair.cert_pem, f"{path}.key": pair.key_pem}
        self.modes |= {f"{path}.crt": 0o644, f"{path}.key": 0o600}

    def group_id(self, name: str) -> int | None:
        return self.groups.get(name)

    def access(self, path: str) -> tuple[int, int]:
        return self.owners.get(path, 0), self.modes[path]

    def grant(self, path: str, group: int | None, mode: int) -> None:
        self.owners[path], self.modes[path] = group or 0, mode

    def belong_together(self, cert: str, key: str) -> bool:
        return cert.strip().startswith("-----BEGIN CERT") and "PRIVATE KEY" in key

    def phases(self) -> list[str]:
        return [argv[-1] for argv, _text in self.calls]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(Authority(tmp_path))


def do(node: Node, action: str, given: subject.Pair = NONE, documents: Any = DOCUMENTS) -> list[str]:
    plan = subject.make_etcd_plan(node, action, documents, given, "etcd")
    node.calls.clear()
    subject.apply_etcd_plan(node, plan, documents, given, 10)
    again = subject.make_etcd_plan(node, action, documents, given, "etcd")
    assert again.steps() == [], "second run == zero steps"
    return plan.steps()


def test_a_ca_and_four_certificates_are_made_once(node: Node) -> None:
    assert do(node, "etcd_ca") == ["make etcd's CA"]
    assert do(node, "etcd_certs") == [f"make the certificate {phase}" for phase in PHASES]
    assert node.phases() == list(PHASES)
    assert all('"etcd": {"local"' in text for _argv, text in node.calls)


def test_nobody_but_root_and_etcd_reads_a_key(node: Node) -> None:
    do(node, "etcd_ca")
    do(node, "etcd_certs")
    for path, mode in node.modes.items():
        assert path.endswith(".crt") or mode & 0o007 == 0, path
    groups = {path: node.access(path) for path in node.files if path.endswith(".key")}
    assert groups.pop(f"{subject.PKI}/etcd/server.key") == (ETCD, 0o640)
    assert groups.pop(f"{subject.PKI}/etcd/peer.key") == (ETCD, 0o640)
    assert set(groups.values()) == {(0, 0o600)}, "the CA's key and the clients' are root's alone"


def test_access_that_somebody_changed_is_set_again(node: Node) -> None:
    do(node, "etcd_ca")
    do(node, "etcd_certs")
    node.modes[f"{subject.PKI}/etcd/peer.key"] = 0o644
    node.owners[f"{subject.PKI}/etcd/server.key"] = 0
    assert do(node, "etcd_certs") == [
        f"set {subject.PKI}/etcd/{name}.key to 0640 root:etcd" for name in ("server", "peer")
    ]
    assert node.phases() == []


def test_a_ca_that_is_given_is_written_closed_and_used(node: Node) -> None:
    given = subject.Pair(node.authority.pair.cert_pem, node.authority.pair.key_pem)
    steps = do(node, "etcd_certs", given)
    assert steps[:2] == [f"write {subject.CA}.{end}, as it was given" for end in ("key", "crt")]
    assert node.files[f"{subject.CA}.key"].strip() == given.key.strip()
    assert node.access(f"{subject.CA}.key") == (0, 0o600)
    assert node.access(f"{subject.CA}.crt") == (0, 0o644)
    assert "PRIVATE" not in repr(given)
    assert "PRIVATE" not in "".join(steps)


@pytest.mark.parametrize("action", subject.ACTIONS)
def test_another_ca_is_refused_and_nothing_changes(node: Node, tmp_path: Path, action: str) -> None:
    do(node, "etcd_ca")
    before = dict(node.files)
    stranger = Authority(tmp_path / "stranger").pair
    with pytest.raises(RefusedError, match="another CA of etcd"):
        do(node, action, subject.Pair(stranger.cert_pem, stranger.key_pem))
    assert node.files == before


def test_a_given_pair_that_is_none_is_refused(node: Node) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        do(node, "etcd_ca", subject.Pair(node.authority.pair.cert_pem, "no key"))
    assert node.files == {}


def test_certificates_need_a_ca(node: Node) -> None:
    with pytest.raises(RefusedError, match="is not on this host"):
        do(node, "etcd_certs")


@pytest.mark.parametrize("lost", ["key", "crt"])
def test_half_a_ca_is_told_and_not_replaced(node: Node, lost: str) -> None:
    do(node, "etcd_ca")
    del node.files[f"{subject.CA}.{lost}"]
    with pytest.raises(RefusedError, match="by half"):
        do(node, "etcd_ca")
    given = subject.Pair(node.authority.pair.cert_pem, node.authority.pair.key_pem)
    assert do(node, "etcd_ca", given)[0] == f"write {subject.CA}.{lost}, as it was given"


def test_a_new_name_remakes_what_serves_and_nothing_else(node: Node) -> None:
    do(node, "etcd_ca")
    do(node, "etcd_certs")
    kept = node.files[f"{subject.PKI}/etcd/healthcheck-client.crt"]
    node.names = [*NAMES, "etcd.example.com"]
    documents = etcd_documents(node_inputs({"name": "etcd1", "address": "192.0.2.31"}), "1.36.3", ["etcd.example.com"])
    steps = do(node, "etcd_certs", documents=documents)
    assert node.phases() == ["etcd-server", "etcd-peer"]
    assert steps[0] == "make the certificate etcd-server, which lacks etcd.example.com"
    assert node.files[f"{subject.PKI}/etcd/healthcheck-client.crt"] == kept
    assert node.access(f"{subject.PKI}/etcd/server.key") == (ETCD, 0o640)


@pytest.mark.parametrize("died_at", range(4))
def test_a_killed_run_is_finished_by_the_next(node: Node, died_at: int) -> None:
    do(node, "etcd_ca")
    real, count = node.run, iter(range(10))

    def dying(argv: list[str], stdin_document: str, timeout: float) -> tuple[int, str]:
        if next(count) == died_at:
            raise KeyboardInterrupt
        return real(argv, stdin_document, timeout)

    node.run = dying
    with pytest.raises(KeyboardInterrupt):
        do(node, "etcd_certs")
    node.run = real
    do(node, "etcd_certs")
    assert len(node.phases()) == 4 - died_at
    assert node.access(f"{subject.PKI}/etcd/peer.key") == (ETCD, 0o640)


def test_kubeadms_words_are_told(node: Node) -> None:
    node.code, node.output = 1, "unable to sign"
    with pytest.raises(CommandError, match="unable to sign"):
        do(node, "etcd_ca")


def test_check_mode_before_the_user_exists_tells_the_same_steps(tmp_path: Path) -> None:
    blank = Node(Authority(tmp_path), groups={})
    blank._make(subject.CA, blank.authority.pair)
    with_user = Node(blank.authority)
    with_user._make(subject.CA, blank.authority.pair)
    plans = [subject.make_etcd_plan(one, "etcd_certs", DOCUMENTS, subject.Pair(), "etcd") for one in (blank, with_user)]
    assert plans[0].steps() == plans[1].steps()
    with pytest.raises(InputError, match="no such group"):
        subject.apply_etcd_plan(blank, plans[0], DOCUMENTS, subject.Pair(), 10)


@pytest.mark.parametrize("name", ["UPPER.example.com", "a b", "", "-x", "a..b", "x/y", "a" * 64, "host:2379"])
def test_a_name_that_kubeadm_would_leave_out_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot stand in a certificate"):
        etcd_documents(node_inputs({"name": "etcd1", "address": "192.0.2.31"}), "1.36.3", [name])


def test_addresses_are_compared_and_not_their_spelling() -> None:
    node = node_inputs({"name": "etcd1", "address": "2001:DB8:0:0::7"})
    assert "2001:db8::7" in subject.wanted_names(etcd_documents(node, "1.36.3", ["*.etcd.example.com", "::0001"]))
