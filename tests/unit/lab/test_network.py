# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which bridges are nobody's, and that those are removed before a network is made."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab import network as subject
from lab import settings as lab_settings

GATEWAY = "10.199.7.1"


def bridge(name: str, address: str = GATEWAY, kind: str = "bridge") -> dict[str, Any]:
    return {"ifname": name, "linkinfo": {"info_kind": kind}, "addr_info": [{"local": address}]}


def test_a_bridge_that_no_network_owns_is_an_orphan() -> None:
    assert subject.orphans([bridge("podman1")], [{"network_interface": "podman2"}], GATEWAY) == ["podman1"]


@pytest.mark.parametrize(
    ("links", "networks"),
    [
        ([bridge("podman1")], [{"network_interface": "podman1"}]),
        ([bridge("podman1", address="10.199.8.1")], []),
        ([bridge("br0")], []),
        ([bridge("podman1", kind="dummy")], []),
        ([{"ifname": "lo"}], []),
    ],
    ids=["owned", "another subnet", "a person's own", "no bridge", "nothing known"],
)
def test_what_somebody_owns_is_left_alone(links: list[dict[str, Any]], networks: list[dict[str, Any]]) -> None:
    assert subject.orphans(links, networks, GATEWAY) == []


def test_the_orphan_goes_before_the_network_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = lab_settings.load({"LAB_NAME": "some", "LAB_SUBNET": "10.199.7", "XDG_CACHE_HOME": str(tmp_path)})
    asked: list[list[str]] = []

    def run(argv: list[str], check: bool = True) -> subprocess.CompletedProcess[str]:
        asked.append(argv)
        return subprocess.CompletedProcess(argv, 1 if argv[2] == "exists" else 0, "", "")

    answers = {"ip": json.dumps([bridge("podman1")]), "podman": ""}
    monkeypatch.setattr(subject, "run", run)
    monkeypatch.setattr(subject, "output", lambda argv: answers[argv[0]])
    subject.ensure(settings)
    assert asked[1] == ["ip", "link", "delete", "podman1"]
    assert asked[2][:3] == ["podman", "network", "create"]
