# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""upgrade_record on the controller: events, files, and when a node's steps end."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.quorum.kubeadm.plugins.action import upgrade_record as subject
from tests.unit.plugins.modules.support import run_module

PLAN = {"running": ["1.35.4"], "target": "1.36.3", "finishing": [], "control_planes": ["cp1", "cp2"], "workers": ["w1"]}


@pytest.fixture(name="path")
def record_path(tmp_path: Path) -> str:
    return str(tmp_path / "upgrades" / "now")


@pytest.fixture(autouse=True)
def action_without_ansible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ActionBase, "run", lambda _self, _tmp=None, _vars=None: {})

    def validated(_self: ActionBase, argument_spec: dict[str, Any]) -> tuple[None, dict[str, Any]]:
        given = _self._task.args
        unknown = set(given) - set(argument_spec)
        assert not unknown
        return None, {key: given.get(key, option.get("default")) for key, option in argument_spec.items()}

    monkeypatch.setattr(ActionBase, "validate_argument_spec", validated)


def note(path: str, event: str, *, check: bool = False, **given: Any) -> dict[str, Any]:
    action = object.__new__(subject.ActionModule)
    action._task = SimpleNamespace(args={"event": event, "path": path, **given}, check_mode=check)
    result: dict[str, Any] = action.run()
    return result


def document(path: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(Path(f"{path}.json").read_text())
    return read


def test_from_the_beginning_to_the_end(path: str) -> None:
    note(path, "begun", cluster="prod", plan=PLAN)
    assert document(path)["result"] == "unfinished"
    for node in ("cp1", "cp2", "w1"):
        note(path, "node", node=node)
        assert note(path, "step", node=node, step="finished", told="x", results=[{"changed": True}]) == {
            "changed": False,
            "path": path,
        }
    result = note(path, "done", after={"w1": {"kubelet_version": "1.36.3", "manifests": {}}})
    assert result == {"changed": False, "path": path}
    told = document(path)
    assert (told["result"], told["left"], told["cluster"]) == ("done", [], "prod")
    assert [step["node"] for step in told["steps"]] == ["cp1", "cp2", "w1"]
    assert Path(f"{path}.md").read_text().startswith("# Upgrade of prod: 1.35.4 to 1.36.3\n")
    assert Path(f"{path}.events").stat().st_mode & 0o777 == 0o600
    assert sorted(one.suffix for one in Path(path).parent.iterdir()) == [".events", ".json", ".md"]


def test_check_mode_writes_nothing(path: str) -> None:
    assert note(path, "begun", check=True, plan=PLAN)["changed"] is False
    assert not Path(path).parent.exists()


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"failed": True, "msg": "budget web allows 0"}, "budget web allows 0"),
        ({"failed": True}, "it failed"),
        ({"unreachable": True, "msg": "no route\n to host"}, "the host became unreachable: no route to host"),
        ({"results": [{"changed": True}, {"failed": True, "msg": "second"}]}, "second"),
        ({"results": [{"unreachable": True, "msg": "gone"}]}, "the host became unreachable: gone"),
    ],
)
def test_a_step_whose_task_failed_is_no_step(path: str, result: dict[str, Any], words: str) -> None:
    note(path, "begun", plan=PLAN)
    told = note(path, "step", node="cp1", step="drained", results=[{"skipped": True}, result])
    assert told["failed"] is True
    assert told["msg"] == f"cp1: drained: {words}"
    assert [event["event"] for event in subject.events_of(path)] == ["begun"]


@pytest.mark.parametrize("result", [{}, {"skipped": True}, {"failed": False}, {"results": []}, {"unreachable": False}])
def test_what_did_not_fail(result: dict[str, Any]) -> None:
    assert subject.problem_of([result]) == ""


def test_a_run_that_stops_says_what_is_left_and_how_to_go_on(path: str, tmp_path: Path) -> None:
    probed = tmp_path / "probe.json"
    probed.write_text('{"failed": 0}')
    note(path, "begun", plan=PLAN)
    note(path, "step", node="cp1", step="finished")
    told = note(
        path,
        "failed",
        node="cp2",
        step="static pods",
        results=[{"failed": True, "msg": "did not become healthy"}],
        availability_file=str(probed),
    )
    assert told["failed"] is True
    for words in (
        "did not become healthy\n",
        "stopped at cp2. Not finished: cp2, w1.",
        "run the same playbook again",
        f"Record: {path}.md",
    ):
        assert words in told["msg"]
    kept = document(path)
    assert (kept["result"], kept["problem"], kept["left"]) == ("failed", "did not become healthy", ["cp2", "w1"])
    assert "- Left: cp2, w1" in Path(f"{path}.md").read_text()


@pytest.mark.parametrize("file", ["", "missing.json"])
def test_without_a_prober_there_is_no_availability(path: str, tmp_path: Path, file: str) -> None:
    note(path, "begun", plan=PLAN)
    note(path, "done", availability_file=str(tmp_path / file) if file else "")
    assert document(path)["availability"] is None


def test_what_a_prober_wrote_is_taken_over(path: str, tmp_path: Path) -> None:
    (tmp_path / "probe.json").write_text('{"longest_gap": 0.4}')
    note(path, "begun", plan=PLAN)
    note(path, "done", availability_file=str(tmp_path / "probe.json"))
    assert document(path)["availability"] == {"longest_gap": 0.4}


def test_an_event_that_a_kill_cut_is_left_out(path: str) -> None:
    note(path, "begun", plan=PLAN)
    with Path(f"{path}.events").open("a") as stream:
        stream.write('{"event": "step", "no')
    assert [event["event"] for event in subject.events_of(path)] == ["begun"]


def test_nodes_of_a_batch_write_side_by_side(path: str) -> None:
    note(path, "begun", plan=PLAN)

    def write(name: str) -> None:
        for number in range(50):
            note(path, "step", node=name, step=str(number), told="x" * 500)

    threads = [threading.Thread(target=write, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(subject.events_of(path)) == 201


def test_a_record_that_cannot_be_written_stops_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AnsibleActionFail, match="the record cannot be written"):
        note(str(tmp_path / "file" / "now"), "begun", plan=PLAN)


def test_the_module_itself_never_runs() -> None:
    assert "controller only" in run_module("upgrade_record", {"event": "node", "path": "/x"})["msg"]
    assert set(subject.KEPT) == set(subject.SPEC["event"]["choices"])
