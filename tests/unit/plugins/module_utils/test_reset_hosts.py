# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is reset: exactly those that were named; how it went, in one table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, KubeadmError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.reset_hosts import choose, outcome, report, verdict

HOSTS = ("cp1", "cp2", "cp10", "w1", "lb1", "lb2")


def chosen(wanted: str, confirm: str = "prod") -> tuple[tuple[str, ...], bool]:
    found = choose(wanted, confirm, "prod", HOSTS, ("lb1", "lb2"))
    return found.hosts, found.whole


def test_names_and_all() -> None:
    assert chosen("w1") == (("w1",), False)
    assert chosen(" cp10, cp2 ,cp2,") == (("cp2", "cp10"), False)
    assert chosen("all") == (("cp1", "cp2", "cp10", "lb1", "lb2", "w1"), True)
    assert chosen("cp1,cp2,cp10,lb1,lb2,w1")[1] is True


@pytest.mark.parametrize("wanted", ["", " , ", "cp", "cp11", "CP1", "cp*", "kube_node", "all,w1", "!w1", "w1;cp1"])
def test_what_is_no_name_is_refused(wanted: str) -> None:
    with pytest.raises(InputError):
        chosen(wanted)


def test_an_unknown_name_is_told_those_there_are() -> None:
    with pytest.raises(InputError) as caught:
        chosen("w1,w2")
    assert caught.value.what == "the inventory has no w2"
    assert caught.value.found == "the hosts of this cluster are cp1, cp2, cp10, lb1, lb2, w1"


@pytest.mark.parametrize("confirm", ["", "yes", "true", "Prod", "prod2"])
def test_only_the_cluster_s_name_confirms(confirm: str) -> None:
    with pytest.raises(RefusedError, match="confirmed with the cluster's name"):
        chosen("all", confirm)


def test_the_last_load_balancers_stay_with_the_cluster() -> None:
    assert chosen("lb1") == (("lb1",), False)
    with pytest.raises(RefusedError, match="no load balancer would be left"):
        chosen("lb1,lb2,w1")


@given(st.text(max_size=30), st.sampled_from(["prod", "x"]))
def test_nobody_is_reset_who_was_not_named(wanted: str, confirm: str) -> None:
    try:
        hosts, _whole = chosen(wanted, confirm)
    except KubeadmError:
        return
    assert confirm == "prod"
    assert wanted.strip(" ,") == "all" or set(hosts) <= {part.strip() for part in wanted.split(",")}


RESULTS: dict[str, dict[str, Any]] = {
    "blank": {"steps": [], "leftovers": []},
    "reset": {"steps": ["a", "b"], "leftovers": [], "etcd_data": ["/var/lib/etcd-removed-1"], "left_alone": ["x"]},
    "leftovers": {"steps": ["a"], "leftovers": ["interface: cni0", "mount: /x"], "failed": True, "msg": "stayed"},
    "failed": {"failed": True, "msg": "no"},
    "unreachable": {"unreachable": True, "msg": "away"},
}


@pytest.mark.parametrize("state", RESULTS)
def test_how_it_went(state: str) -> None:
    told = outcome("w1", RESULTS[state], planned=False)
    assert told.state == state
    assert told.is_good is (state in ("blank", "reset"))


def test_a_host_that_has_told_nothing_is_not_blank() -> None:
    assert outcome("w1", {}, planned=False).state == "failed"


def test_the_table_has_every_host_and_what_is_wrong_last() -> None:
    outcomes = [outcome(f"h-{state}", result, planned=False) for state, result in RESULTS.items()]
    text = report(outcomes, {}, 120)
    lines = text.splitlines()
    assert lines[2].startswith("blank")
    assert lines[3].startswith("reset")
    assert "x; /var/lib/etcd-removed-1 has" in lines[3]
    assert "LEFTOVERS" in text
    assert "interface: cni0; mount: /x" in text
    assert lines[-1] == "reset: 3 of 5 hosts are not blank: h-failed, h-leftovers, h-unreachable"


def test_what_would_be_done_is_told() -> None:
    planned = [outcome("w1", RESULTS["reset"], planned=True)]
    assert report(planned, {"w1": ["a", "b"], "w2": []}, 120).startswith("w1:\n  - a\n  - b\nRESULT")
    assert verdict(planned) == "reset: 1 of 1 hosts would be blank; nothing was changed"
    assert verdict([outcome("w1", RESULTS["reset"], planned=False)]) == "reset: 1 of 1 hosts blank; nothing has stayed"
