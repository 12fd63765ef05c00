# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of removals against the real programs: they refuse exactly what it says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import removal_table as table
from ansible_collections.quorum.kubeadm.plugins.module_utils.removals import etcd_of
from ansible_collections.quorum.kubeadm.plugins.module_utils.version import parse_version
from tests.integration.servers import VERSION, program

TARGET = parse_version(VERSION)
# Each ends at once, because of what it is asked for or because of this.
NOWHERE = {
    "kubelet": "--config=/nowhere",
    "kube-apiserver": "--etcd-servers=",
    "kube-controller-manager": "--kubeconfig=/nowhere",
    "kube-scheduler": "--kubeconfig=/nowhere",
    "etcd": "--version",
}


def start(component: str, *flags: str) -> str:
    """What a program says that is started with these flags."""
    path: Path = program("etcd" if component == "etcd" else "kubernetes", component)
    argv = [str(path), *flags, NOWHERE[component]]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout + done.stderr


def reached(series: str, product: str = "") -> bool:
    version = etcd_of(TARGET) if product == "etcd" else TARGET
    assert version is not None
    return tuple(map(int, series.split("."))) <= (version.major, version.minor)


FLAGS = [
    (component, flag, reached(series, component))
    for component, rows in table.FLAGS.items()
    for series, flags in rows.items()
    for flag in flags
]
GATES = [gate for series, gates in table.GATES.items() if reached(series) for gate in gates]
LOCKED = {
    gate: value
    for series, gates in table.LOCKED.items()
    if reached(series)
    for gate, value in gates.items()
    if gate not in GATES
}


@pytest.mark.parametrize(("component", "flag", "gone"), FLAGS, ids=[f"{row[0]}-{row[1]}" for row in FLAGS])
def test_a_flag_that_is_gone_is_unknown(component: str, flag: str, gone: bool) -> None:
    said = start(component, f"--{flag}=1")
    assert ("unknown flag" in said or "flag provided but not defined" in said) is gone


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_that_is_gone_is_unknown(gate: str) -> None:
    assert f"unrecognized feature gate: {gate}" in start("kube-scheduler", f"--feature-gates={gate}=true")


@pytest.mark.parametrize("component", ["kubelet", "kube-apiserver", "kube-controller-manager"])
def test_every_component_refuses_a_gate_that_is_gone(component: str) -> None:
    assert f"unrecognized feature gate: {GATES[-1]}" in start(component, f"--feature-gates={GATES[-1]}=true")


def test_a_locked_gate_has_its_value_only() -> None:
    wrong = ",".join(f"{gate}={str(not value).lower()}" for gate, value in LOCKED.items())
    said = start("kube-scheduler", f"--feature-gates={wrong}")
    for gate, value in LOCKED.items():
        refused = (
            f"cannot set feature gate {gate} to {str(not value).lower()}, feature is locked to {str(value).lower()}"
        )
        assert refused in said
    right = ",".join(f"{gate}={str(value).lower()}" for gate, value in LOCKED.items())
    assert "feature gate" not in start("kube-scheduler", f"--feature-gates={right}").partition('"command failed"')[2]
