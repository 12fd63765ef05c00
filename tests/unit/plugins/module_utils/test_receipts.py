"""Receipts: proven only by a plan without steps, on the host as it is now."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import receipts
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_install import install_bundle
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_files import Files
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_plan import apply_plan, make_plan
from ansible_collections.quorum.kubeadm.plugins.module_utils.receipt_provers import PROVERS
from tests.unit.plugins.module_utils.bundle_fixture import SOURCE, write_bundle
from tests.unit.plugins.module_utils.fake_host import FakeHost
from tests.unit.plugins.module_utils.test_host_plan import file, params

CONFIG = "/etc/example.conf"


def configure(host: FakeHost, digest: str | None = "d1", name: str = "example", **given: Any) -> dict[str, Any]:
    """One host_config call with a receipt, as the module makes it."""
    asked = params(
        files=[file(CONFIG, content="a\n")], receipt={"name": name, "digest": digest, "inputs": "i1"}, **given
    )
    files = Files(host)
    host.write("/etc/x", "")
    apply_plan(host, files, make_plan(host, files, asked), 1.0, effects=True)
    receipts.leave(host, "host_config", asked, effects=True)
    return asked


def test_what_was_left_is_proven_while_the_host_stays_the_same(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    configure(host)
    assert receipts.proven(host, PROVERS) == {"example": {"digest": "d1", "inputs": "i1"}}
    host.write(CONFIG, "b\n")
    assert receipts.proven(host, PROVERS) == {}
    host.write(CONFIG, "a\n")
    os.chmod(host.real(CONFIG), 0o600)
    assert receipts.proven(host, PROVERS) == {}


def test_a_package_that_is_gone_takes_the_proof_away(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.write("/var/lib/dpkg/status", "Package: socat\nStatus: install ok installed\nVersion: 1.8\n")
    configure(host, packages=["socat"])
    assert set(receipts.proven(host, PROVERS)) == {"example"}
    host.write("/var/lib/dpkg/status", "Package: socat\nStatus: deinstall ok config-files\nVersion: 1.8\n")
    assert receipts.proven(host, PROVERS) == {}


def test_check_mode_leaves_none(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    receipts.leave(host, "host_config", {"receipt": {"name": "example", "digest": "d"}}, effects=False)
    assert not host.names(receipts.FOLDER)


def test_a_call_without_a_digest_takes_the_old_receipt_away(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    configure(host)
    configure(host, digest=None)
    assert not host.names(receipts.FOLDER)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"module": "host_config"}', '{"module": "other", "params": {}}', '{"module": 1}']
)
def test_a_damaged_receipt_proves_nothing(tmp_path: Path, text: str) -> None:
    host = FakeHost(tmp_path)
    host.write(f"{receipts.FOLDER}/example.json", text)
    assert receipts.proven(host, PROVERS) == {}


@pytest.mark.parametrize("name", ["../x", "a/b", "", "a b"])
def test_a_name_is_no_path(name: str) -> None:
    with pytest.raises(InputError, match="receipt's name"):
        receipts.path_of(name)


def test_a_bundle_is_proven_by_its_own_comparison(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    write_bundle(host)
    asked = {"source": SOURCE, "kube_version": "1.36.3", "roles": ["worker"], "only": None}
    receipt = {"receipt": {"name": "bundle", "digest": "d2"}}
    receipts.leave(host, "bundle_files", {**asked, **receipt}, effects=True)
    assert receipts.proven(host, PROVERS) == {}, "nothing is installed yet"

    install_bundle(host, asked, effects=True)
    assert receipts.proven(host, PROVERS) == {"bundle": {"digest": "d2", "inputs": ""}}
    os.unlink(host.real("/usr/bin/kubelet"))
    assert receipts.proven(host, PROVERS) == {}
