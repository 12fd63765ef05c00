# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How podman is asked for a machine, and what machines weigh."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab import nodes, settings


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What is asked of podman; whatever is made answers."""
    asked: list[list[str]] = []

    def run(command: list[str | Path], **_more: Any) -> None:
        asked.append([str(word) for word in command])

    monkeypatch.setattr(nodes, "run", run)
    monkeypatch.setattr(nodes, "containers", lambda _settings: {})
    monkeypatch.setattr(nodes, "ssh_answers", lambda _node: True)
    monkeypatch.setattr(nodes, "WEIGHTS", ())
    monkeypatch.setattr(nodes.nodeimage, "ensure", lambda *_: "image")
    monkeypatch.setattr(nodes.sshkey, "ensure", lambda *_: None)
    monkeypatch.setattr(nodes.network, "ensure", lambda *_: "net")
    return asked


def up(cache: Path, **env: str) -> None:
    nodes.up(settings.load({"XDG_CACHE_HOME": str(cache), **env}), ["cp1"])


def made(commands: list[list[str]]) -> list[str]:
    return next(command for command in commands if "--detach" in command)


def test_a_machine_is_made_with_its_name_and_address(commands: list[list[str]], tmp_path: Path) -> None:
    up(tmp_path)
    command = made(commands)
    assert command[command.index("--name") + 1] == "lab-cp1"
    assert command[command.index("--ip") + 1] == "10.199.0.21"
    assert "--cpus" not in command


def test_a_machine_may_use_so_many_processors(commands: list[list[str]], tmp_path: Path) -> None:
    up(tmp_path, LAB_CPUS="1")
    command = made(commands)
    assert command[command.index("--cpus") + 1] == "1.0"


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize(("cpus", "machines", "then"), [("1", 7, 7168), ("1", 50, 10000), ("", 7, 1024)])
def test_bounded_machines_together_weigh_what_each_would_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cpus: str, machines: int, then: int
) -> None:
    shares = tmp_path / "cpu.shares"
    shares.write_text("1024\n", encoding="ascii")
    monkeypatch.setattr(nodes, "WEIGHTS", ((tmp_path / "missing" / "x", 100), (shares, 1024)))
    monkeypatch.setattr(nodes, "containers", lambda _settings: {f"w{n}": None for n in range(1, machines + 1)})
    monkeypatch.setattr(nodes, "_bring_up", lambda *_: None)
    monkeypatch.setattr(nodes, "remove", lambda *_: None)
    monkeypatch.setattr(nodes.network, "remove", lambda *_: None)
    up(tmp_path, LAB_CPUS=cpus)
    assert int(shares.read_text(encoding="ascii")) == then
    nodes.down(settings.load({"XDG_CACHE_HOME": str(tmp_path), "LAB_CPUS": cpus}))
    assert int(shares.read_text(encoding="ascii")) == 1024
