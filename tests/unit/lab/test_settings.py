# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and addresses follow from the lab's name alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import settings
from lab.cli import parser, wanted_nodes
from lab.errors import LabError


def load(**env: str) -> settings.Settings:
    return settings.load({"XDG_CACHE_HOME": "/cache", **env})


def test_the_default_lab() -> None:
    lab = load()
    assert (lab.name, lab.subnet, lab.vip, lab.gateway) == ("lab", "10.199.0", "10.199.0.100", "10.199.0.1")
    assert lab.cache == Path("/cache/quorum-kubeadm")
    assert lab.container("cp1") == "lab-cp1"


def test_another_name_has_a_subnet_of_its_own_always_the_same() -> None:
    one, again, other = load(LAB_NAME="one"), load(LAB_NAME="one"), load(LAB_NAME="other")
    assert one.subnet == again.subnet
    assert len({load().subnet, one.subnet, other.subnet}) == 3
    assert 1 <= int(one.subnet.rpartition(".")[2]) <= 250


@pytest.mark.parametrize("name", ["Lab", "1lab", "a b", "x" * 22, "../up", "-lab"])
def test_a_name_that_podman_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="LAB_NAME"):
        load(LAB_NAME=name)


@pytest.mark.parametrize("subnet", ["10.199", "10.199.300", "192.168.0", "10.199.0.0/24"])
def test_a_subnet_is_the_first_three_numbers_of_a_private_network(subnet: str) -> None:
    with pytest.raises(LabError, match="LAB_SUBNET"):
        load(LAB_SUBNET=subnet)


def test_a_machine_may_use_every_processor_unless_a_limit_is_given() -> None:
    assert load().cpus == 0
    assert load(LAB_CPUS="1.5").cpus == 1.5


@pytest.mark.parametrize("cpus", ["-1", "two", "1,5", "1000", "1e3"])
def test_a_limit_of_processors_is_a_small_number(cpus: str) -> None:
    with pytest.raises(LabError, match="LAB_CPUS"):
        load(LAB_CPUS=cpus)


def test_no_two_nodes_share_an_address_and_none_has_the_vip() -> None:
    lab = load()
    names = [f"{role}{n}" for role, most in settings.MOST_PER_ROLE.items() for n in range(1, most + 1)]
    addresses = [lab.node(name).address for name in names]
    assert len(set(addresses)) == len(addresses)
    assert lab.vip not in addresses
    assert lab.node("cp1").address == "10.199.0.21"
    assert lab.node("w1").address == "10.199.0.41"
    assert lab.node("etcd1").address == "10.199.0.61"
    assert lab.node("lb1").address == "10.199.0.11"


def test_nodes_of_a_role_are_spread_over_three_zones() -> None:
    zones = [load().node(f"cp{n}").zone for n in (1, 2, 3, 4)]
    assert zones == ["zone-a", "zone-b", "zone-c", "zone-a"]


@pytest.mark.parametrize("name", ["cp", "cp0", "cp01", "cp99", "node1", "w1x", "xw1", ""])
def test_what_is_not_a_node_name_is_refused(name: str) -> None:
    with pytest.raises(LabError):
        load().node(name)


def test_a_topology_names_its_nodes() -> None:
    assert settings.topology("lb=1, cp=2,w=0,etcd=1") == ["lb1", "cp1", "cp2", "etcd1"]
    for wrong in ("cp", "cp=x", "db=1", "cp=21", "cp=-1"):
        with pytest.raises(LabError):
            settings.topology(wrong)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], ["lb1", "lb2", "cp1", "cp2", "cp3", "w1", "w2"]),
        (["--node", "w9"], ["w9"]),
        (["--topology", "cp=1", "--node", "w9"], ["cp1", "w9"]),
        (["--control-planes", "1", "--workers", "0"], ["lb1", "lb2", "cp1"]),
        (["--topology", "cp=3", "--workers", "1"], ["cp1", "cp2", "cp3", "w1"]),
        (["--topology", "cp=1", "--node", "cp1"], ["cp1"]),
    ],
)
def test_up_starts_the_nodes_that_it_is_asked_for(argv: list[str], expected: list[str]) -> None:
    assert wanted_nodes(parser().parse_args(["up", *argv])) == expected
