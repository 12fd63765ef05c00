# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node on which kubeadm runs, with programs that a test plays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeadm_host import Host
from tests.integration.certificates import Authority


def test_the_configuration_is_read_from_memory_and_no_file_stays(tmp_path: Path) -> None:
    script = tmp_path / "kubeadm"
    script.write_text('#!/bin/sh\nfor last; do :; done\ncat "$last"\ncat "$last" >/dev/null\necho "args: $*"\n')
    script.chmod(0o755)
    code, printed = Host().run([str(script), "join"], '{"a": 1}\n', 10)
    assert code == 0
    assert '{"a": 1}' in printed
    assert "--config /proc/self/fd/" in printed
    assert [path.name for path in tmp_path.iterdir()] == ["kubeadm"]


def test_a_missing_program_and_a_slow_one_are_told(tmp_path: Path) -> None:
    assert Host().run([str(tmp_path / "kubeadm")], "", 5)[0] == 127
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o755)
    code, printed = Host().run([str(slow)], "", 0.3)
    assert code == 124
    assert "not done after" in printed


def test_a_file_is_private_from_the_start_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "marker.json"
    host = Host()
    host.write(str(path), "one", 0o600)
    assert (host.read(str(path)), path.stat().st_mode & 0o777) == ("one", 0o600)
    host.write(str(path), "two", 0o600)
    assert host.read(str(path)) == "two"
    assert [one.name for one in path.parent.iterdir()] == ["marker.json"]
    host.remove(str(path))
    host.remove(str(path))
    assert not host.exists(str(path))


def test_a_mode_is_changed_once(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("")
    path.chmod(0o644)
    assert Host().chmod(str(path), 0o600) is True
    assert path.stat().st_mode & 0o777 == 0o600
    assert Host().chmod(str(path), 0o600) is False


def test_a_key_belongs_to_its_certificate_alone(tmp_path: Path) -> None:
    one, other = Authority(tmp_path / "one").pair, Authority(tmp_path / "other").pair
    host = Host()
    assert host.belong_together(one.cert_pem, one.key_pem)
    assert not host.belong_together(one.cert_pem, other.key_pem)
    assert not host.belong_together(one.cert_pem, "")
    key = serialization.load_pem_private_key(one.key_pem.encode(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"word"),
    )
    assert not host.belong_together(one.cert_pem, locked.decode())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_group_reads_and_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "server.key"
    path.write_text("")
    path.chmod(0o600)
    host = Host()
    assert host.group_id("daemon") is not None
    host.grant(str(path), host.group_id("daemon"), 0o640)
    assert host.access(str(path)) == (host.group_id("daemon"), 0o640)
    assert host.group_id("no-such-group-at-all") is None
