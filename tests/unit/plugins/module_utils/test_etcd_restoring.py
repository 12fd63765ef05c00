# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a restore is, from what is on the disk."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_restoring import (
    ACTIVATED,
    NONE,
    PREPARED,
    Found,
    Record,
    Wanted,
    activate_steps,
    facts,
    identity,
    is_prepared,
    parse_record,
    prepare_steps,
    require_alone,
    require_stopped,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_wal import Log

OLD = Log("a.wal", "c1", "a1", 100, 4, 4, 1, 99, 1000, 0xBEEF)
NEW = Log("b.wal", "c2", "a2", 2, 1, 1, 1, 2, 500, 0xF00D)
RECORD = Record(identity(OLD), "cp1", "cp1=https://192.0.2.11:2380", "token", 90, 80, 1.0, identity(NEW))
CP1 = Wanted("cp1", {"cp1": "https://192.0.2.11:2380"})
THREE = {f"cp{number}": f"https://192.0.2.1{number}:2380" for number in (3, 1, 2)}
BEFORE = Found(member=True, log=OLD, written=1.0)
MADE = replace(BEFORE, fresh=True, prepared=RECORD, leftovers=True)
BETWEEN = replace(MADE, member=False, log=None)
DONE = Found(member=True, record=RECORD, log=NEW, leftovers=True)
STARTED = replace(DONE, log=replace(NEW, last_index=3, checksum=1), leftovers=False)


@pytest.mark.parametrize(
    ("found", "phase"),
    [
        (Found(), NONE),
        (BEFORE, NONE),
        (replace(MADE, prepared=None), NONE),
        (replace(MADE, fresh=False), NONE),
        (MADE, PREPARED),
        (BETWEEN, PREPARED),
        (DONE, ACTIVATED),
        (STARTED, NONE),
    ],
)
def test_phases(found: Found, phase: str) -> None:
    assert found.phase == phase
    assert facts(found)["phase"] == phase
    assert bool(facts(found)["restored"]) == (phase != NONE)


def test_nothing_is_prepared_twice_and_everything_that_differs_is_prepared_anew() -> None:
    assert is_prepared(MADE, CP1, identity(OLD))
    assert is_prepared(BETWEEN, CP1, "")
    assert is_prepared(DONE, CP1, "")
    assert not is_prepared(BEFORE, CP1, identity(OLD))
    assert not is_prepared(STARTED, CP1, identity(STARTED.log or OLD))
    assert not is_prepared(MADE, CP1, "snapshot:1")
    assert not is_prepared(DONE, CP1, "snapshot:1")
    for found in (MADE, BETWEEN, DONE):
        assert not is_prepared(found, Wanted("cp2", {"cp2": CP1.peer_url}), "")
        assert not is_prepared(found, Wanted("cp1", {"cp1": "https://192.0.2.12:2380"}), "")


def test_steps() -> None:
    assert len(prepare_steps(BEFORE, "/var/lib/etcd/member", CP1, from_log=True)) == 3
    assert prepare_steps(MADE, "/x.db", CP1, from_log=False)[:2] == [
        "delete what an earlier run has left of a restore",
        "judge the snapshot /x.db",
    ]
    assert activate_steps(MADE, "kept")[0] == "rename member to kept"
    assert activate_steps(BETWEEN, "kept")[0].startswith("put the restored data")
    assert activate_steps(DONE, "kept") == ["delete what is left of the restore"]
    assert activate_steps(replace(DONE, leftovers=False), "kept") == []
    for found in (BEFORE, STARTED, Found()):
        with pytest.raises(RefusedError, match="nothing restored"):
            activate_steps(found, "kept")


def test_nothing_is_done_while_etcd_runs() -> None:
    require_stopped(BEFORE, "/x")
    with pytest.raises(RefusedError, match="etcd runs on this data directory"):
        require_stopped(replace(BEFORE, runs=True), "/x")


def test_a_record_is_read_back_and_half_of_one_is_none() -> None:
    text = RECORD.text()
    assert parse_record(text) == RECORD
    for end in range(len(text) - 2):
        assert parse_record(text[:end]) is None
    assert parse_record("[]") is None
    assert parse_record(None) is None


@pytest.mark.parametrize(
    ("name", "url"),
    [*itertools.product(["", "a b", "-x", "a,b=c"], ["https://192.0.2.1:2380"]),
     *itertools.product(["cp1"], ["", "192.0.2.1:2380", "https://x", "https://x:1,https://y:2", "unix://x:1"])],
)  # fmt: skip
def test_names_and_urls_that_would_say_something_else_to_etcd_are_refused(name: str, url: str) -> None:
    with pytest.raises(InputError, match="no name or no peer URL"):
        Wanted(name, {name: url})


def test_an_address_of_ipv6_is_a_peer_url() -> None:
    wanted = Wanted("cp1", {"cp1": "https://[2001:db8::1]:2380"})
    assert wanted.is_of(replace(RECORD, members="cp1=https://[2001:db8::1]:2380"))


def test_all_members_of_one_cluster_are_given_the_same_arguments() -> None:
    given = {Wanted(name, THREE, "token").initial for name in THREE}
    assert given == {"cp1=https://192.0.2.11:2380,cp2=https://192.0.2.12:2380,cp3=https://192.0.2.13:2380"}


@pytest.mark.parametrize(
    ("name", "members", "token", "found"),
    [
        ("cp1", {}, "t", "none of the members"),
        ("cp4", THREE, "t", "none of the members"),
        ("cp1", THREE, "", "no token"),
        ("cp1", {**THREE, "cp2": THREE["cp1"]}, "t", "two members with one peer URL"),
        ("cp1", {**THREE, "cp2": "https://host"}, "t", "https://host"),
        ("cp1", {**THREE, "cp=2": "https://192.0.2.19:2380"}, "t", "cp=2"),
    ],
)
def test_members_that_do_not_go_together_are_refused(
    name: str, members: dict[str, str], token: str, found: str
) -> None:
    with pytest.raises(InputError) as told:
        Wanted(name, members, token)
    assert found in told.value.found


def test_several_members_come_from_a_snapshot_alone() -> None:
    with pytest.raises(InputError):
        require_alone(Wanted("cp1", THREE, "token"))
    require_alone(CP1)


def test_what_is_prepared_for_another_cluster_is_prepared_anew() -> None:
    source, wanted = "snapshot:a", Wanted("cp1", THREE, "token")
    found = replace(MADE, prepared=replace(RECORD, source=source, members=wanted.initial))
    assert is_prepared(found, wanted, source)
    assert not is_prepared(found, Wanted("cp1", THREE, "another"), source)
    assert not is_prepared(found, Wanted("cp1", {"cp1": THREE["cp1"]}, "token"), source)
    assert not is_prepared(found, wanted, "snapshot:b")
