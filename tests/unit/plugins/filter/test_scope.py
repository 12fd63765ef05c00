# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts a run touches: a worker concerns itself and one control plane, at any size."""

from __future__ import annotations

import pytest

from ansible_collections.quorum.kubeadm.plugins.filter.scope import FilterModule

WORKERS = [f"w{number}" for number in range(1, 1001)]
STACKED = {
    "kube_control_plane": ["cp1", "cp2", "cp3"],
    "kube_node": WORKERS,
    "kube_lb": ["lb1", "lb2"],
    "all": ["cp1", "stranger"],
}
EXTERNAL = {**STACKED, "etcd": ["e1", "e2", "e3"]}
SAME = {**STACKED, "etcd": ["cp1", "cp2", "cp3"]}
FILTERS = FilterModule().filters()


@pytest.mark.parametrize(
    ("groups", "names", "wanted"),
    [
        (STACKED, "w7", ["w7", "cp1"]),
        (STACKED, " w7 , w8,", ["w7", "w8", "cp1"]),
        (STACKED, "cp1", ["cp1", "lb1", "lb2", "cp2"]),
        (SAME, "cp3", ["cp3", "lb1", "lb2", "cp1"]),
        (STACKED, "lb2", ["lb2", "lb1", "cp1"]),
        (EXTERNAL, "w7", ["w7", "cp1"]),
        (EXTERNAL, "cp3", ["cp3", "lb1", "lb2", "e1", "e2", "e3", "cp1"]),
        (EXTERNAL, "e3", ["e3", "e1", "e2", "cp1", "cp2", "cp3"]),
        (EXTERNAL, "", []),
    ],
)
def test_who_is_needed_for_a_join(groups: dict[str, list[str]], names: str, wanted: list[str]) -> None:
    assert FILTERS["join_scope"](groups, names) == wanted


def test_who_is_looked_at_before_a_removal_and_after_it() -> None:
    assert FILTERS["removal_scope"](STACKED, "w7") == ["lb1", "lb2", "cp1", "cp2", "cp3", "w7"]
    assert FILTERS["removal_scope"](EXTERNAL, "cp2,nobody", "w9")[-4:] == ["e1", "e2", "e3", "w9"]
    assert FILTERS["staying_scope"](STACKED, "cp2,w7") == ["lb1", "lb2", "cp1", "cp3"]
    assert FILTERS["staying_scope"](STACKED, "w7", "w8") == ["lb1", "lb2", "cp1", "cp2", "cp3", "w8"]


def test_names_that_nobody_has() -> None:
    assert FILTERS["unknown_names"](STACKED, "w1,w,stranger,cp1,w10000,w*") == ["w", "stranger", "w10000", "w*"]
