# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""run_lock in real runs of ansible-playbook on one controller, without any API."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.plugins.modules.support import run_module

COLLECTIONS = Path(__file__).resolve().parents[4] / ".build" / "collections"
LOCK: dict[str, Any] = {
    "name": "Lock",
    "quorum.kubeadm.run_lock": {"endpoints": ["https://127.0.0.1:1"]},
    "register": "lock",
}
LOOK: dict[str, Any] = {
    "name": "Look at what Ansible keeps for this run",
    "ansible.builtin.shell": "cat {{ tmp }}/ansible-local-*/quorum-kubeadm/held.json",
    "register": "state",
    "check_mode": False,
}


class Controller:
    """A home of its own, in which playbooks run as those of one user."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.made = home / "made.yaml"
        self.environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_HOME": str(home / "ansible"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
        }
        self.environment.pop("ANSIBLE_CONFIG", None)

    def change(self, **keys: Any) -> dict[str, Any]:
        """A task that changes something."""
        return {"name": "Change", "quorum.kubeadm.encryption_config": {"path": str(self.made)}, **keys}

    def start(self, *tasks: dict[str, Any], name: str = "play.yml", words: tuple[str, ...] = ()) -> Any:
        play = {"name": "Play", "hosts": "localhost", "gather_facts": False, "tasks": list(tasks)}
        play["vars"] = {
            "ansible_python_interpreter": sys.executable, "ansible_connection": "local",
            "tmp": str(self.home / "ansible" / "tmp"),
        }  # fmt: skip
        (self.home / name).write_text(json.dumps([play]))
        return subprocess.Popen(
            [str(Path(sys.executable).parent / "ansible-playbook"), name, *words],
            cwd=self.home, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, encoding="utf-8", start_new_session=True,
        )  # fmt: skip

    def run(self, *tasks: dict[str, Any], **given: Any) -> tuple[int, str]:
        """Its status and what it printed. What keeps its output open would keep this from returning."""
        process = self.start(*tasks, **given)
        text, _none = process.communicate(timeout=30)
        return process.returncode, " ".join(text.split())

    def locked(self) -> bool:
        directory = self.home / "ansible" / "quorum-kubeadm"
        path = next(iter(directory.glob("*.lock")), None) if directory.is_dir() else None
        return bool(path) and subprocess.run(["flock", "--nonblock", str(path), "true"], check=False).returncode != 0


@pytest.fixture(name="controller")
def _controller(tmp_path: Path) -> Controller:
    return Controller(tmp_path)


@pytest.fixture(name="holder")
def _holder(controller: Controller) -> Iterator[subprocess.Popen[str]]:
    """A run that has the lock and is at work."""
    process = controller.start(LOCK, {"name": "Work", "ansible.builtin.command": "sleep 60"}, name="long.yml")
    until = time.monotonic() + 20
    while not controller.locked() and time.monotonic() < until:
        time.sleep(0.05)
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_a_run_has_its_lock_in_every_play_and_gives_it_back_at_its_end(controller: Controller) -> None:
    again = {"name": "Say", "ansible.builtin.debug": {"msg": "run={{ lock.run }} level={{ lock.level }}"}}
    status, text = controller.run(LOCK, again, {**LOCK, "name": "Import"}, again, controller.change())
    assert status == 0, text
    runs = {word for word in text.split() if word.startswith(("run=", '"run='))}
    assert len(runs) == 1, "a playbook that another imports is the same run"
    assert "level=controller" in text
    assert controller.made.exists()
    until = time.monotonic() + 3
    while controller.locked() and time.monotonic() < until:
        time.sleep(0.02)
    assert not controller.locked()
    assert list((controller.home / "ansible" / "tmp").glob("*")) == [], "no state is left"


def test_the_second_run_ends_soon_and_names_the_first(controller: Controller, holder: subprocess.Popen[str]) -> None:
    began = time.monotonic()
    status, text = controller.run(LOCK, controller.change())
    # That it ends and does not wait. The goal of 5 s is for a machine that has nothing else to do.
    assert time.monotonic() - began < 20
    assert status == 2
    assert "another run is changing this cluster; nothing was changed" in text
    assert f"(process {holder.pid}), playbook long.yml, since 2" in text
    assert not controller.made.exists()


def test_a_run_that_only_looks_is_told_and_goes_on(controller: Controller, holder: subprocess.Popen[str]) -> None:
    status, text = controller.run(LOCK, controller.change(), words=("--check",))
    assert status == 0, text
    assert "[WARNING]: Another run is changing this cluster" in text
    assert f"(process {holder.pid}), playbook long.yml" in text


def test_looking_takes_nothing(controller: Controller) -> None:
    status, text = controller.run(LOCK, words=("--check",))
    assert status == 0, text
    assert "WARNING" not in text
    assert not (controller.home / "ansible" / "quorum-kubeadm").exists()


def test_a_killed_run_lets_others_in(controller: Controller, holder: subprocess.Popen[str]) -> None:
    os.killpg(holder.pid, signal.SIGKILL)
    status, text = controller.run(LOCK, controller.change())
    assert status == 0, text
    assert controller.made.exists()


def lose(controller: Controller) -> dict[str, Any]:
    """A task in which the keeper finds that somebody else has the Lease."""
    edit = r"""sed -i 's/"lost": ""/"lost": "it is held by bob"/' {{ tmp }}/ansible-local-*/quorum-kubeadm/held.json"""
    return {"name": "Lose it", "ansible.builtin.shell": edit, "check_mode": False}


@pytest.mark.parametrize("keys", [{}, {"delegate_to": "localhost"}])
def test_who_has_lost_it_changes_nothing_more(controller: Controller, keys: dict[str, str]) -> None:
    status, text = controller.run(LOCK, lose(controller), controller.change(**keys))
    assert status == 2
    assert "this run no longer holds the lock of the cluster, so it changes nothing more" in text
    assert "Found: it is held by bob." in text
    assert not controller.made.exists()


def test_who_has_lost_it_may_look(controller: Controller) -> None:
    looks = {"name": "Look", "quorum.kubeadm.node_info": {}}
    status, text = controller.run(LOCK, lose(controller), looks, controller.change(check_mode=True))
    assert status == 0, text
    status, text = controller.run(LOCK, lose(controller), {**LOCK, "name": "Take it again"})
    assert status == 2
    assert "it is held by bob" in text


def test_it_can_be_given_back_before_the_end(controller: Controller) -> None:
    gives = {"name": "Give it back", "quorum.kubeadm.run_lock": {"state": "released"}}
    look = {"name": "Try", "ansible.builtin.command": "true"}
    status, text = controller.run(LOCK, gives, gives, look, controller.change())
    assert status == 0, text
    status, text = controller.run(LOCK, gives, {**LOOK, "failed_when": "state.rc == 0"}, LOCK)
    assert status == 0, text


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ({"quorum.kubeadm.run_lock": {"state": "claimed"}}, "a run without a lock cannot claim a host"),
        ({"quorum.kubeadm.run_lock": {}}, "endpoints are needed to take the lock"),
    ],
)
def test_what_cannot_be_done_is_said(controller: Controller, task: dict[str, Any], words: str) -> None:
    status, text = controller.run({"name": "Try", **task})
    assert status == 2
    assert words in text


def test_the_module_alone_does_nothing_but_claims() -> None:
    result = run_module("run_lock", {"state": "held"})
    assert "runs as an action" in result["msg"]
