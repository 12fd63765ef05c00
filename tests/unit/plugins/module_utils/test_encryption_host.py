# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an API server has begun with, as its process sees the file."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import encryption_host as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.encryption import new_configuration

CONFIG = "/etc/encryption/config.yaml"


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A process 7 that began now and sees a configuration."""
    seen = tmp_path / "7" / "root" / CONFIG.lstrip("/")
    seen.parent.mkdir(parents=True)
    seen.write_text(new_configuration(os.urandom))
    ticks = int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))
    (tmp_path / "7" / "stat").write_text(f"7 (a ) b) S {'0 ' * 18}{ticks} 0")
    monkeypatch.setattr(subject, "processes", lambda _name: [7])
    return tmp_path


def test_the_process_tells_its_own_file(proc: Path) -> None:
    found = subject.loaded(CONFIG, str(proc))
    assert found is not None
    assert [key.name for key in found.keys] == ["key1"]


def test_a_file_that_was_written_into_says_nothing(proc: Path) -> None:
    later = time.time() + 60
    os.utime(proc / "7" / "root" / CONFIG.lstrip("/"), (later, later))
    found = subject.loaded(CONFIG, str(proc))
    assert found is not None
    assert found.keys == ()


def test_a_file_that_is_gone_says_nothing(proc: Path) -> None:
    (proc / "7" / "root" / CONFIG.lstrip("/")).unlink()
    found = subject.loaded(CONFIG, str(proc))
    assert found is not None
    assert found.keys == ()


def test_no_process_is_none(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "processes", lambda _name: [])
    assert subject.loaded(CONFIG, str(proc)) is None


def test_a_real_process_has_begun_when_it_was_started() -> None:
    before = time.time()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        began = subject.began(process.pid)
        process.communicate(b"\n")
    assert before - 1 < began < time.time() + 1
