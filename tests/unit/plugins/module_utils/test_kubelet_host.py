# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the kubelet runs what is on the disk, asked with a process of this test in the kubelet's place."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import kubelet_host as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Result
from tests.unit.plugins.module_utils.fake_host import FakeHost, ok

SETTLED = time.clock_gettime(time.CLOCK_MONOTONIC)


@pytest.fixture(name="program")
def running_program(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    path = tmp_path / "usr/bin/kubelet"
    path.parent.mkdir(parents=True)
    shutil.copy(shutil.which("sleep") or "", path)
    with subprocess.Popen([str(path), "60"]) as process:
        yield path, process.pid
        process.kill()


def host(root: Path, pid: int, active: str = "active", reload: str = "no") -> FakeHost:
    show = (
        f"Id=kubelet.service\nLoadState=loaded\nActiveState={active}\nMainPID={pid}\nNeedDaemonReload={reload}\n"
        f"StateChangeTimestampMonotonic={int(SETTLED * 1e6)}\n"
    )
    made = FakeHost(root, {"systemctl show": ok(show), "systemctl": ok()})
    for path in subject.READS:
        target = Path(made.real(path))
        if path != subject.PROGRAM:
            made.write(path, "")
        # An hour before the start.
        os.utime(target, (time.time() - 3600,) * 2)
    return made


def test_it_runs_what_is_on_the_disk(tmp_path: Path, program: tuple[Path, int]) -> None:
    assert subject.KubeletHost(host(tmp_path, program[1])).out_of_date() == ""


@pytest.mark.parametrize("path", subject.READS)
def test_a_file_that_is_newer_than_its_start(tmp_path: Path, program: tuple[Path, int], path: str) -> None:
    made = host(tmp_path, program[1])
    os.utime(made.real(path))
    assert subject.KubeletHost(made).out_of_date() == f"{path} changed"


@pytest.mark.parametrize("path", subject.READS[1:])
def test_a_file_that_is_not_there(tmp_path: Path, program: tuple[Path, int], path: str) -> None:
    made = host(tmp_path, program[1])
    os.unlink(made.real(path))
    assert subject.KubeletHost(made).out_of_date() == ""


def test_a_program_that_was_replaced_by_an_older_file(tmp_path: Path, program: tuple[Path, int]) -> None:
    """As a package does."""
    made = host(tmp_path, program[1])
    other = program[0].with_suffix(".new")
    other.write_text("")
    os.utime(other, (time.time() - 9999,) * 2)
    other.rename(program[0])
    assert subject.KubeletHost(made).out_of_date() == "/usr/bin/kubelet changed"


def test_a_unit_that_does_not_run_or_changed(tmp_path: Path, program: tuple[Path, int]) -> None:
    assert subject.KubeletHost(host(tmp_path, 0, "failed")).out_of_date() == "it is failed"
    assert subject.KubeletHost(host(tmp_path, program[1], reload="yes")).out_of_date() == "its unit changed"
    assert subject.KubeletHost(host(tmp_path, 2**22 + 1)).out_of_date() == "its process cannot be seen"


def test_a_restart_reads_the_units_anew(tmp_path: Path, program: tuple[Path, int]) -> None:
    made = host(tmp_path, program[1])
    subject.KubeletHost(made).restart()
    assert made.commands() == ["systemctl daemon-reload", "systemctl restart kubelet.service"]


def test_fault_9_a_restart_that_fails_shows_the_end_of_the_log(
    tmp_path: Path, program: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = host(tmp_path, program[1])
    made.programs["systemctl restart"] = Result(1, "", "Job failed")
    asked: list[tuple[str, int]] = []

    def journal(_host: object, unit: str, lines: int) -> str:
        asked.append((unit, lines))
        return "unknown flag: --x, token abcdef.0123456789abcdef"

    monkeypatch.setattr(subject.KubeadmHost, "journal", journal)
    with pytest.raises(CommandError, match="could not be restarted") as caught:
        subject.KubeletHost(made).restart()
    assert caught.value.where == "systemctl restart kubelet.service"
    assert caught.value.found == "Job failed\nunknown flag: --x, token (secret)"
    assert asked == [("kubelet", 20)]
