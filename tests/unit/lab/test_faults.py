# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults reach one lab's nodes, exactly the process that is named, and never the machine's own disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab import faults, settings
from lab.errors import LabError

LAB = settings.load({"XDG_CACHE_HOME": "/cache"})


def test_a_process_is_found_by_its_whole_name(tmp_path: Path) -> None:
    program = tmp_path / "lab-test-sleeper"
    program.write_bytes(Path(sys.executable).resolve().read_bytes())
    program.chmod(0o755)
    environment = {**os.environ, "PYTHONHOME": sys.base_prefix}
    with subprocess.Popen([program, "-S", "-c", "import time; time.sleep(60)"], env=environment) as process:
        try:
            found = subprocess.run(
                ["sh", "-c", faults.find_script(program.name)], capture_output=True, text=True, check=True
            )
            part = subprocess.run(
                ["sh", "-c", faults.find_script("lab-test")], capture_output=True, text=True, check=True
            )
        finally:
            process.kill()
    assert found.stdout.split() == [str(process.pid)]
    assert part.stdout == ""


@pytest.mark.parametrize("name", ["", "a b", "$(reboot)", "etcd;ls", "'"])
def test_what_is_not_a_process_name_reaches_no_shell(name: str) -> None:
    with pytest.raises(LabError, match="not the name of a process"):
        faults.signal_process(LAB, "cp1", name)


def test_a_partition_drops_both_directions_of_exactly_the_other_side() -> None:
    script = faults.partition_script(["10.199.0.22", "10.199.0.23"])
    for address in ("10.199.0.22", "10.199.0.23"):
        assert f"-A LAB-PARTITION -s {address} -j DROP" in script
        assert f"-A LAB-PARTITION -d {address} -j DROP" in script
    assert script.count("-A LAB-PARTITION") == 4


def test_a_partition_is_only_added_once() -> None:
    for line in faults.partition_script(["10.199.0.22"]).splitlines():
        if " -A " in line or " -I " in line:
            assert line.index(" -C ") < line.index("||")


def test_a_node_cannot_be_cut_off_from_itself() -> None:
    with pytest.raises(LabError, match="both sides"):
        faults.partition(LAB, ["cp1", "cp2"], ["cp2"])


@pytest.mark.parametrize("path", ["var/lib/etcd", "/var/../etc", ""])
def test_a_disk_fault_needs_an_absolute_path(path: str) -> None:
    with pytest.raises(LabError, match="not an absolute path"):
        faults.free_disk(LAB, "cp1", path)
