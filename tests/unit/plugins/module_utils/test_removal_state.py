# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several hosts saw of one etcd, and whose member is whose."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_look import EtcdLook
from ansible_collections.quorum.kubeadm.plugins.module_utils.quorum import Member
from ansible_collections.quorum.kubeadm.plugins.module_utils.removal_state import member_of, merged

MEMBERS = tuple(
    Member(f"{number}", f"cp{number}", (f"https://192.0.2.{number}:2380",), healthy=True) for number in (1, 2, 3)
)
LOOK = EtcdLook("a", True, False, MEMBERS)


def down(number: int, look: EtcdLook = LOOK) -> EtcdLook:
    return replace(look, members=tuple(replace(m, healthy=m.healthy and m.id != str(number)) for m in look.members))


def test_a_member_that_answered_anybody_is_healthy() -> None:
    found = merged([down(3), down(2)])
    assert found is not None
    assert [member.healthy for member in found.members] == [True, True, True]


def test_a_look_without_a_majority_counts_only_where_there_is_no_other() -> None:
    minority = replace(down(1, down(2)), linearizable=False)
    assert merged([minority, down(3)]) == down(3)
    assert merged([minority]) == minority
    assert merged([]) is None


def test_another_clusters_look_heals_nobody() -> None:
    found = merged([down(3), replace(LOOK, cluster_id="b")])
    assert found is not None
    assert [member.healthy for member in found.members] == [True, True, False]


@pytest.mark.parametrize(
    ("name", "address", "found"),
    [
        ("cp2", "192.0.2.2", "2"),
        ("cp2", "192.0.2.99", "2"),  # the new machine has another address
        ("cp2", "", "2"),
        ("cp4", "192.0.2.2", None),  # the address is another's member
        ("cp", "192.0.2.9", None),
    ],
)
def test_whose_member(name: str, address: str, found: str | None) -> None:
    member = member_of(LOOK, name, address)
    assert (member and member.id) == found


def test_a_member_that_never_started_is_known_by_its_address() -> None:
    unstarted = replace(LOOK, members=(*MEMBERS, Member("9", "", ("https://192.0.2.4:2380",))))
    member = member_of(unstarted, "cp4", "192.0.2.4")
    assert member is not None
    assert member.id == "9"
    assert member_of(None, "cp4", "192.0.2.4") is None
