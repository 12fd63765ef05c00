# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the nodes, also while containers end."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from lab import settings as lab_settings
from lab import status as subject
from lab.podman import Container

SETTINGS = lab_settings.load({"LAB_NAME": "some", "HOME": "/srv"})
ANSWER = json.dumps([{"name": "some-cp1", "mem_usage": "1.5GB / 25GB"}])


class Podman:
    """Answers as podman does, and keeps what it was asked."""

    def __init__(self, states: dict[str, str], status: int = 0, stdout: str = ANSWER) -> None:
        self.states, self.status, self.stdout = states, status, stdout
        self.asked: list[list[str]] = []

    def containers(self, _settings: lab_settings.Settings) -> dict[str, Container]:
        began = time.time() - 60
        return {name: Container(SETTINGS.node(name), name, state, "", began) for name, state in self.states.items()}

    def run(self, argv: list[str], check: bool = True) -> subprocess.CompletedProcess[str]:
        self.asked.append(argv)
        if check and self.status:
            raise AssertionError("a failure of podman stats must not end the command")
        return subprocess.CompletedProcess(argv, self.status, self.stdout, "")


def rows(podman: Podman, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    monkeypatch.setattr(subject, "containers", podman.containers)
    monkeypatch.setattr(subject, "run", podman.run)
    lines = [line.split() for line in subject.table(SETTINGS).splitlines()]
    return {line[0]: line[1:] for line in lines[1:]}


@pytest.mark.parametrize("state", ["exited", "stopped", "created"])
def test_a_stopped_container_is_called_so_and_not_measured(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    podman = Podman({"cp1": "running", "w1": state})
    found = rows(podman, monkeypatch)
    assert found["w1"][2:] == ["stopped", "-", "-"]
    assert found["cp1"][2] == "running"
    assert found["cp1"][-1] == "1.5GB"
    assert [argv[-1] for argv in podman.asked] == ["some-cp1"]


def test_nothing_is_measured_when_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    podman = Podman({"cp1": "exited"})
    assert rows(podman, monkeypatch)["cp1"][2:] == ["stopped", "-", "-"]
    assert podman.asked == []


def test_a_frozen_container_keeps_its_state(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rows(Podman({"cp1": "paused"}), monkeypatch)["cp1"][2] == "paused"


def test_a_container_that_ends_while_it_is_measured_costs_the_number_not_the_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = rows(Podman({"cp1": "running", "w1": "running"}, status=125, stdout=""), monkeypatch)
    assert [line[2] for line in found.values()] == ["running", "running"]
    assert [line[-1] for line in found.values()] == ["-", "-"]
