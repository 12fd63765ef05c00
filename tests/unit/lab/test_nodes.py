# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How podman is asked for a machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab import nodes, settings


def asked(monkeypatch: pytest.MonkeyPatch, cache: Path, **env: str) -> list[str]:
    """The command that makes a machine."""
    commands: list[list[str]] = []

    def run(command: list[str | Path], **_more: Any) -> None:
        commands.append([str(word) for word in command])

    monkeypatch.setattr(nodes, "run", run)
    lab = settings.load({"XDG_CACHE_HOME": str(cache), **env})
    monkeypatch.setattr(nodes, "containers", lambda _settings: {})
    monkeypatch.setattr(nodes.nodeimage, "ensure", lambda *_: "image")
    monkeypatch.setattr(nodes.sshkey, "ensure", lambda *_: None)
    monkeypatch.setattr(nodes.network, "ensure", lambda *_: "net")
    monkeypatch.setattr(nodes, "ssh_answers", lambda _node: True)
    nodes.up(lab, ["cp1"])
    return next(command for command in commands if "--detach" in command)


def test_a_machine_is_made_with_its_name_and_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command = asked(monkeypatch, tmp_path)
    assert command[command.index("--name") + 1] == "lab-cp1"
    assert command[command.index("--ip") + 1] == "10.199.0.21"
    assert "--cpus" not in command


def test_a_machine_may_use_so_many_processors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command = asked(monkeypatch, tmp_path, LAB_CPUS="1")
    assert command[command.index("--cpus") + 1] == "1.0"
