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


class Podman:
    """Plays `ip` and `podman network` with these networks; `asked` is what was run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *networks: tuple[str, str]) -> None:
        self.networks = [
            {"name": name, "labels": {"quorum.lab": "some"}, "subnets": [{"subnet": subnet}]}
            for name, subnet in networks
        ]
        self.asked: list[list[str]] = []
        monkeypatch.setattr(subject, "run", self.run)
        monkeypatch.setattr(subject, "output", self.output)

    def run(self, argv: list[str], check: bool = True) -> subprocess.CompletedProcess[str]:
        self.asked.append(argv)
        return subprocess.CompletedProcess(argv, 0, "", "")

    def output(self, argv: list[str]) -> str:
        others = [{"name": "podman", "subnets": [{"subnet": "10.88.0.0/16"}]}]
        return json.dumps([bridge("podman1")] if argv[0] == "ip" else [*others, *self.networks])


@pytest.fixture
def settings(tmp_path: Path) -> lab_settings.Settings:
    return lab_settings.load({"LAB_NAME": "some", "LAB_SUBNET": "10.199.7", "XDG_CACHE_HOME": str(tmp_path)})


def test_the_orphan_goes_before_the_network_is_made(
    monkeypatch: pytest.MonkeyPatch, settings: lab_settings.Settings
) -> None:
    podman = Podman(monkeypatch)
    name = subject.ensure(settings)
    assert podman.asked[0] == ["ip", "link", "delete", "podman1"]
    assert podman.asked[1][:3] == ["podman", "network", "create"]
    assert podman.asked[1][-1] == name
    assert name.startswith("some-")


def test_every_network_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch, settings: lab_settings.Settings) -> None:
    Podman(monkeypatch)
    assert subject.ensure(settings) != subject.ensure(settings)


def test_the_labs_network_is_used_again_and_one_of_another_subnet_is_not(
    monkeypatch: pytest.MonkeyPatch, settings: lab_settings.Settings
) -> None:
    podman = Podman(monkeypatch, ("some-1", "10.199.7.0/24"))
    assert subject.ensure(settings) == "some-1"
    assert podman.asked == []
    podman = Podman(monkeypatch, ("some-1", "10.199.8.0/24"))
    subject.ensure(settings)
    assert podman.asked[0] == ["podman", "network", "rm", "some-1"]


def test_down_removes_the_labs_networks_only(monkeypatch: pytest.MonkeyPatch, settings: lab_settings.Settings) -> None:
    podman = Podman(monkeypatch, ("some-1", "10.199.7.0/24"))
    subject.remove(settings)
    assert podman.asked == [["podman", "network", "rm", "some-1"]]
