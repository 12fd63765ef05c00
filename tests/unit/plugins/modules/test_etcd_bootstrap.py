"""etcd_bootstrap: the order of its steps with a played machine, and its refusals as Ansible sees them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_beginning import Begin
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_first_start import FirstStart
from tests.integration.certificates import Authority
from tests.unit.plugins.modules.support import run_module

MEMBERS = {"etcd1": "https://192.0.2.31:2380", "etcd2": "https://192.0.2.32:2380"}
WANT = Begin("etcd1", MEMBERS, "t")
OWN = "https://127.0.0.1:2379"


@dataclass
class Machine:
    """A machine whose etcd answers after so many looks, with a majority after some more."""

    answers_after: int = 2
    settles_after: int = 4
    dies: str = ""
    data: bool = False
    text: str | None = None
    running: bool = False
    looks: int = 0
    done: list[str] = field(default_factory=list)
    now: float = 0.0

    def has_data(self) -> bool:
        return self.data

    def initial(self) -> str | None:
        return self.text

    def write(self, text: str) -> None:
        self.text = text
        self.done.append("write")

    def start(self) -> None:
        assert self.text is not None, "without the file it would begin a cluster of its own"
        self.running = self.data = True
        self.done.append("start")

    def failure(self) -> str:
        return self.dies

    def log(self) -> str:
        return "its log"

    def finished(self) -> None:
        self.text = None
        self.done.append("finished")

    def connect(self, url: str) -> Any:
        return Gateway(self, url)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def first_start(self) -> FirstStart:
        others = ["https://192.0.2.32:2379"]
        return FirstStart(self, self.connect, WANT, [OWN], others, clock=lambda: self.now, sleep=self.sleep)


@dataclass
class Gateway:
    machine: Machine
    url: str

    def members(self, linearizable: bool = True) -> dict[str, Any]:
        machine = self.machine
        machine.looks += machine.running and self.url == OWN and linearizable
        enough = machine.settles_after if linearizable else machine.answers_after
        if not machine.running or self.url != OWN or machine.looks < enough:
            raise UnreachableError("etcd does not answer", where=self.url, found="Connection refused")
        rows = [{"name": name, "peerURLs": [url], "clientURLs": ["https://x"]} for name, url in MEMBERS.items()]
        return {"members": rows}


def test_written_started_waited_for_and_cleaned_up() -> None:
    machine = Machine()
    plan, healthy = machine.first_start().run(60, effects=True)
    assert (machine.done, machine.text, healthy) == (["write", "start", "finished"], None, True)
    assert plan.steps("etcd.service", "/f") == ["write /f", "start etcd.service", "remove /f, the member is healthy"]
    again, healthy = machine.first_start().run(60, effects=True)
    assert (again.steps("etcd.service", "/f"), healthy) == ([], True)


def test_check_mode_says_the_same_and_does_nothing() -> None:
    machine = Machine()
    predicted, _healthy = machine.first_start().run(60, effects=False)
    assert machine.done == []
    assert predicted == machine.first_start().run(60, effects=True)[0]


def test_started_only_where_others_are_waited_for_later() -> None:
    machine = Machine()
    _plan, healthy = machine.first_start().run(0, effects=True)
    assert (machine.done, healthy) == (["write", "start"], False)
    assert machine.text is not None, "it is not finished"
    plan, healthy = machine.first_start().run(60, effects=True)
    assert (healthy, plan.writes) == (True, False)
    assert machine.initial() is None


@pytest.mark.parametrize("dies_in", ["write", "start", "sleep", "finished"])
def test_a_killed_run_is_finished_by_the_next(monkeypatch: pytest.MonkeyPatch, dies_in: str) -> None:
    machine = Machine()

    def die(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(machine, dies_in, die)
        with pytest.raises(KeyboardInterrupt):
            machine.first_start().run(60, effects=True)
    assert machine.first_start().run(60, effects=True)[1] is True
    assert machine.text is None


def test_time_is_up_and_the_beginning_is_kept() -> None:
    machine = Machine(answers_after=10**6, settles_after=10**6)
    with pytest.raises(CommandError, match="a majority of 2 members has to be up") as caught:
        machine.first_start().run(60, effects=True)
    assert "its log" in caught.value.found
    assert machine.now <= 61
    assert machine.text == WANT.text()


def test_a_service_that_dies_is_not_waited_for() -> None:
    machine = Machine(answers_after=10**6, settles_after=10**6, dies="etcd.service is failed: bad certificate")
    with pytest.raises(CommandError, match="bad certificate"):
        machine.first_start().run(60, effects=True)
    assert machine.now < 5


def test_as_ansible_runs_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    client = authority.issue("client", "client")
    files = {"ca": str(authority.pair.cert), "cert": str(client.cert), "key": str(client.key)}
    common = {"name": "etcd1", "token": "t", "endpoints": ["https://127.0.0.1:1"], "timeout": 0.5, **files}
    paths = {"initial_file": str(tmp_path / "etc/initial.env"), "data_dir": str(tmp_path / "data")}
    asked = {**common, **paths, "initial_members": MEMBERS, "others": ["https://127.0.0.1:1"]}
    predicted = run_module("etcd_bootstrap", asked, check=True)
    assert not predicted["failed"], predicted
    assert predicted["steps"][:2] == [f"write {paths['initial_file']}", "start etcd.service"]
    assert not (tmp_path / "etc").exists()

    (tmp_path / "data/member/snap").mkdir(parents=True)
    refused = run_module("etcd_bootstrap", asked, check=True)
    assert "no beginning of ours" in refused["msg"]
    assert refused["error"]["next"]
    assert not (tmp_path / "etc").exists()

    wrong = run_module("etcd_bootstrap", {**asked, "initial_members": {"etcd2": MEMBERS["etcd2"]}}, check=True)
    assert "do not fit" in wrong["msg"]
    assert "PRIVATE" not in json.dumps([predicted, refused, wrong])
