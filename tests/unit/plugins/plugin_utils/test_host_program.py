# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program for hosts: whole, the same every time, and it runs where there is no Ansible."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ansible.errors import AnsibleLookupError

from ansible_collections.quorum.kubeadm.plugins.lookup.host_program import LookupModule
from ansible_collections.quorum.kubeadm.plugins.plugin_utils import host_program as subject

ENTRY = "backup_main"


def test_it_runs_without_ansible_and_without_packages(tmp_path: Path) -> None:
    program = tmp_path / "program.pyz"
    program.write_bytes(subject.archive(ENTRY))
    # -I -S: no site-packages, so nothing but the standard library and what is in it.
    argv = [sys.executable, "-I", "-S", str(program), "--config", str(tmp_path / "none.json")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert "no such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_everything_that_is_imported_is_in_it_and_nothing_else_of_ansible() -> None:
    names = subject.needed(ENTRY)
    assert {"errors", "backup_run", "etcd_changes", "snapshot_drill"} <= set(names)
    for name in names:
        assert subject.imported(subject.UTILS / f"{name}.py") <= set(names)
        assert "from ansible." not in (subject.UTILS / f"{name}.py").read_text()


def test_the_same_sources_are_the_same_bytes() -> None:
    content = subject.archive(ENTRY)
    assert content == subject.archive(ENTRY)
    with zipfile.ZipFile(io.BytesIO(content)) as found:
        assert found.testzip() is None
        source = (subject.UTILS / "backup_plan.py").read_bytes()
        assert found.read(f"{subject.PACKAGE}/backup_plan.py") == source
        assert {info.compress_type for info in found.infolist()} == {zipfile.ZIP_STORED}


def test_the_lookup_gives_it_in_base64() -> None:
    assert LookupModule().run([ENTRY]) == [base64.b64encode(subject.archive(ENTRY)).decode()]
    for term in ("none", "../errors", "a b"):
        with pytest.raises(AnsibleLookupError):
            LookupModule().run([term])
