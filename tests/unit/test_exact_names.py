# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and addresses that contain one another (fault 37): what is asked for one of them concerns that one alone."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import scope, snapshot_file, verify, verify_nodes
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_look import parse_look
from ansible_collections.quorum.kubeadm.plugins.module_utils.membership import Target, Wanted, plan_membership
from ansible_collections.quorum.kubeadm.plugins.module_utils.membership_steps import Remove
from ansible_collections.quorum.kubeadm.plugins.module_utils.orphans import Trace, verdict
from ansible_collections.quorum.kubeadm.plugins.module_utils.quorum import Cluster, Member
from ansible_collections.quorum.kubeadm.plugins.module_utils.removal_state import member_of
from ansible_collections.quorum.kubeadm.plugins.module_utils.reset_hosts import choose
from ansible_collections.quorum.kubeadm.plugins.module_utils.verify_orphans import judge_backends, judge_leases, strict
from tests.unit.plugins.module_utils.test_lb_servers import UP, HAProxy
from tests.unit.removal_world import Removal, fatal, parts

# Beginnings, ends, middles and the characters that patterns take for others.
NAMES = ("cp", "cp1", "cp10", "cp-1", "cp-10", "1", "0", "xcp1", "cp1.a", "cp1-a", "p1", "cp11")
ADDRESSES = ("10.0.0.1", "10.0.0.11", "110.0.0.1", "10.0.0.10", "0.0.0.1", "10.0.0.111")
MANY = settings(max_examples=150, deadline=None)


def several(least: int, most: int = len(NAMES)) -> st.SearchStrategy[list[str]]:
    """So many of the names, in any order."""
    return st.lists(st.sampled_from(NAMES), min_size=least, max_size=most, unique=True)


@given(several(5), st.sampled_from(("alive", "dead", "blank")))
@MANY
def test_a_removal_concerns_the_very_machine_its_member_and_its_node(names: list[str], fate: str) -> None:
    """Of any kind: the first four are control planes, the others workers; each is removed in turn."""
    for gone in (names[0], names[-1]):
        world = Removal(planes=tuple(names[:4]), workers=tuple(names[4:]), leader=names[1])
        if fate == "dead":
            world.lose(gone)
        elif fate == "blank":
            world.wipe(gone)
        outcome = world.ask(gone)
        assert not fatal(outcome), fatal(outcome)
        told = outcome.as_dict()
        assert [machine["name"] for machine in told["machines"]] == [gone]
        assert [member["member_id"] for member in told["members"]] == ([f"id-{gone}"] if gone == names[0] else [])
        assert [node["name"] for node in told["forget"]] == [gone]
        touched = parts(outcome)
        assert {name for part in ("drain", "reset") for name in touched.get(part, [])} == (
            {gone} if fate == "alive" else set()
        )


@given(several(2), st.data())
@MANY
def test_a_name_that_nobody_has_removes_nobody(names: list[str], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(names))
    others = tuple(name for name in names if name != gone)
    outcome = Removal(planes=("m1", "m2", "m3"), workers=others).ask(gone)
    assert any("is named exactly" in found for found in fatal(outcome))
    assert not outcome.as_dict()["members"]
    assert not outcome.as_dict()["forget"]


@given(several(2), st.data())
@MANY
def test_groups_are_searched_for_whole_names(names: list[str], data: st.DataObject) -> None:
    unknown = data.draw(st.sampled_from(names))
    known = [name for name in names if name != unknown]
    groups = {"kube_control_plane": ["m1"], "kube_node": known}
    assert scope.unknown_names(groups, names) == [unknown]
    assert scope.join_scope(groups, known[:1]) == [known[0], "m1"]
    assert scope.removal_scope(groups, [known[0]]) == ["m1", known[0]]
    hosts = [*known, "m1"]
    assert choose(known[0], "prod", "prod", hosts, []).hosts == (known[0],)


@st.composite
def members(draw: st.DrawFn) -> Cluster:
    """Healthy voters, by names and addresses that contain one another."""
    places = draw(st.permutations(ADDRESSES))[: draw(st.integers(4, len(ADDRESSES)))]
    names = draw(several(len(places), len(places)))
    return Cluster(
        tuple(
            Member(f"{number:x}", name, (f"https://{address}:2380",), (f"https://{address}:2379",), healthy=True,
                   leader=number == 1, version="3.6.16")
            for number, (name, address) in enumerate(zip(names, places), 1)
        )
    )  # fmt: skip


@given(members(), st.data())
@MANY
def test_etcd_loses_the_very_member(cluster: Cluster, data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(cluster.members[1:]))
    kept = tuple(Wanted(member.name, member.peer_urls) for member in cluster.members if member != gone)
    plan = plan_membership(cluster, Target(kept, confirmed=True, step_of_a_change=True))
    assert [step.member.id for step in plan.steps if isinstance(step, Remove)] == [gone.id]


@given(members(), st.data())
@MANY
def test_an_orphan_is_known_by_its_whole_address_and_name(cluster: Cluster, data: st.DataObject) -> None:
    """A join on another host, whose name or address contains its own, does not keep it; its own does."""
    own = data.draw(st.sampled_from(cluster.members))
    orphan = replace(own, name="", learner=True, healthy=False)
    there = Cluster(tuple(orphan if member == own else member for member in cluster.members))
    trace = Trace(recorded=own.id, name=own.name)
    others = [member for member in cluster.members if member != own]
    for other in others:
        for known in (other.name, other.peer_urls[0], other.peer_urls[0].split("/")[2].split(":")[0]):
            assert verdict(there, orphan, trace, [known]).orphan, known
    for known in (own.name, own.peer_urls[0], own.peer_urls[0].split("/")[2].split(":")[0]):
        assert verdict(there, orphan, trace, [known]).keep, known
    # Nor does a record of another member.
    assert not verdict(there, orphan, replace(trace, recorded=f"{own.id}0"), ()).orphan


@given(members())
@MANY
def test_a_host_has_the_member_at_its_address_or_of_its_name(cluster: Cluster) -> None:
    rows = [
        {"id": one.id, "name": one.name, "peer_urls": list(one.peer_urls), "healthy": True} for one in cluster.members
    ]
    look = parse_look({"etcd": {"cluster_id": "c", "members": rows}})
    names = {one.name for one in cluster.members}
    for one in cluster.members:
        address = one.peer_urls[0].split("/")[2].split(":")[0]
        for found in (member_of(look, one.name, address), member_of(look, one.name, "")):
            assert found is not None
            assert found.id == one.id
    for name in set(NAMES) - names:
        assert member_of(look, name, "") is None
    for address in set(ADDRESSES) - {one.peer_urls[0].split("/")[2].split(":")[0] for one in cluster.members}:
        assert member_of(look, "nobody", address) is None


@given(several(2), st.data())
@MANY
def test_haproxy_is_told_of_the_very_server(names: list[str], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(names))
    haproxy = HAProxy(*(replace(UP, name=name, sessions=0) for name in names))
    haproxy.bring(gone, "drained")
    assert haproxy.orders == [f"set server kube_api/{gone} state drain"]
    assert {name for name, server in haproxy.servers.items() if server.admin != "ready"} == {gone}
    without = HAProxy(*(replace(UP, name=name) for name in names if name != gone))
    try:
        without.bring(gone, "drained")
    except RefusedError as error:
        assert error.what == f"The load balancer has no server {gone}"
    else:
        raise AssertionError("another server was drained")
    assert without.orders == []


@given(several(3), st.data())
@MANY
def test_verify_tells_of_the_very_machine(names: list[str], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(names))
    left = [name for name in names if name != gone]
    seen = [verify.NodeSeen(name, True, "v1.36.3") for name in left]
    lacking = verify_nodes.judge_nodes(seen, verify.Want("1.36.3", tuple(names)))
    assert [row.subject for row in lacking if row.status != "ok"] == [gone]
    every = [*seen, verify.NodeSeen(gone, True, "v1.36.3")]
    extra = strict(verify_nodes.judge_nodes(every, verify.Want("1.36.3", tuple(left), absent=(gone,))), (gone,))
    assert [(row.subject, row.status) for row in extra if row.status != "ok"] == [(gone, "fail")]
    healthy = [{"name": name, "id": name, "healthy": True} for name in names]
    assert [row.subject for row in verify.judge_etcd({"members": healthy}, left) if row.status == "warn"] == [gone]
    assert [row.subject for row in verify.judge_etcd({"members": healthy[:0]}, [gone])] == [gone]
    assert [row.subject for row in judge_leases(names, left) if row.status != "ok"] == [gone]
    servers = {"lb1": {"servers": {name: {"up": True} for name in names}}}
    assert [row.found for row in judge_backends(servers, left)] == [f"HAProxy still sends to {gone}"]
    servers = {"lb1": {"servers": {name: {"up": True} for name in left}}}
    assert [row.found for row in judge_backends(servers, names)] == [f"HAProxy does not know {gone}"]


@given(several(2))
@MANY
def test_snapshots_of_another_cluster_are_never_taken_for_ones_own(names: list[str]) -> None:
    """Nor deleted when ones own are too many."""
    files = {name: snapshot_file.file_name(name, 7, 1_795_000_000.0 + number) for number, name in enumerate(names)}
    for name in names:
        assert snapshot_file.ours(list(files.values()), name) == [files[name]]
        assert set(snapshot_file.surplus(list(files.values()), name, 1)) <= {files[name]}
