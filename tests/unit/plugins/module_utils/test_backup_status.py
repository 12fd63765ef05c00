# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the backups are: rows for verify, metrics, and what a run that took nothing keeps of an earlier one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import backup_status as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.backup_plan import Last
from ansible_collections.quorum.kubeadm.plugins.module_utils.backup_status import Copy, Status, Taken

NOW = 1_780_000_000.0
HOUR = 3600.0
OLD = 13 * HOUR
LAST = Last("etcd-prod-r7-20260528T000000Z", NOW - HOUR, "cp2", 7)
COPIES = (Copy("host cp1"), Copy("vault", seconds=2.0))
TAKEN = Taken(LAST.name, LAST.at, 7, 20_000, 9.5, "drill", COPIES)
TAKER = Status("cp2", "prod", "etcd", NOW - HOUR, subject.TAKEN, "", LAST, TAKEN, OLD, NOW - 99 * HOUR)
OTHER = Status("cp1", "prod", "etcd", NOW - HOUR, subject.SKIPPED, "", LAST, None, OLD, NOW - 99 * HOUR)


def seen(*statuses: Status) -> dict[str, Any]:
    return {status.host: {"status": json.loads(status.text())} for status in statuses}


def told(*statuses: Status) -> list[tuple[str, str]]:
    return [(row.status, row.found) for row in subject.judge(seen(*statuses), NOW)]


def test_it_comes_back_as_it_was() -> None:
    for status in (TAKER, OTHER, replace(OTHER, newest=None)):
        assert subject.parse_status(status.text()) == status
    for text in (None, "", "[]", '{"host": 1}', TAKER.text()[:-5]):
        assert subject.parse_status(text) is None


def test_in_order_is_one_row() -> None:
    assert told(TAKER, OTHER) == [("ok", f"60 min old, {LAST.name}, verified by drill, 2 copies elsewhere")]
    assert told(OTHER) == [("ok", "60 min old, by cp2")]


@pytest.mark.parametrize(
    ("statuses", "words"),
    [
        ([replace(TAKER, result=subject.FAILED, error="the disk is full")], "failed 60 min ago: the disk is full"),
        ([TAKER, replace(OTHER, at=NOW - 20 * HOUR)], "its timer has not run for 20 h"),
        ([replace(TAKER, taken=replace(TAKEN, copies=(Copy("vault", "no route"),)))], "no good copy of etcd-prod-r7"),
        ([replace(TAKER, taken=replace(TAKEN, at=0), newest=replace(LAST, at=NOW - 60 * HOUR))], "2 days old"),
        ([replace(OTHER, newest=None)], "none was ever taken"),
    ],
)  # fmt: skip
def test_what_is_wrong_fails(statuses: list[Status], words: str) -> None:
    rows = subject.judge(seen(*statuses), NOW)
    failing = [row for row in rows if row.status == "fail"]
    assert any(words in row.found for row in failing), rows
    assert all(row.next_step for row in failing)


def test_a_host_that_cannot_tell_is_named() -> None:
    rows = subject.judge({"cp3": {"msg": "unreachable"}, "cp4": {"status": None}, **seen(TAKER)}, NOW)
    assert [(row.subject, row.status, row.found) for row in rows][:2] == [
        ("cp3", "fail", "unreachable"),
        ("cp4", "fail", "this host has never run one"),
    ]


def test_without_a_copy_elsewhere_it_is_lost_with_its_host() -> None:
    ((status, found),) = told(replace(TAKER, taken=replace(TAKEN, copies=())))
    assert (status, "lost with its host" in found) == ("warn", True)


def test_a_new_timer_is_waited_for_and_only_so_long() -> None:
    new = replace(OTHER, newest=None, result=subject.AHEAD, since=NOW - HOUR)
    assert told(new) == [("warn", "none yet, the timer is new")]
    assert told(replace(new, since=NOW - 14 * HOUR))[-1] == ("fail", "none was ever taken")


def test_each_control_plane_of_an_external_etcd_has_its_own() -> None:
    first = replace(TAKER, host="cp1", kind="pki")
    second = replace(TAKER, host="cp2", kind="pki", newest=None, taken=None)
    etcd = replace(TAKER, host="e1")
    rows = subject.judge(seen(first, second, etcd), NOW)
    assert [(row.subject, row.status) for row in rows] == [("newest", "ok"), ("cp1", "ok"), ("cp2", "fail")]


def test_nothing_is_said_where_nobody_was_asked() -> None:
    assert subject.judge({}, NOW) == []


def test_a_run_that_took_nothing_keeps_what_was_taken() -> None:
    failed = Status("cp2", "prod", "etcd", NOW, subject.FAILED, "no majority", old_after=OLD)
    kept = subject.next_status(TAKER, failed)
    assert (kept.taken, kept.newest, kept.error, kept.since) == (TAKEN, LAST, "no majority", TAKER.since)
    assert subject.next_status(None, failed).since == NOW
    assert subject.next_status(replace(TAKER, cluster="other"), failed).taken is None


def test_metrics() -> None:
    status = replace(TAKER, taken=replace(TAKEN, copies=(Copy('va"u\nlt'), Copy("s3", "no route"))))
    lines = subject.metrics(status).splitlines()
    of = 'cluster="prod",kind="etcd"'
    assert f"quorum_kubeadm_etcd_backup_newest_timestamp_seconds{{{of}}} 1779996400" in lines
    assert f"quorum_kubeadm_etcd_backup_last_run_failed{{{of}}} 0" in lines
    assert f'quorum_kubeadm_etcd_backup_copy_failed{{{of},destination="va_u_lt"}} 0' in lines
    assert f'quorum_kubeadm_etcd_backup_copy_failed{{{of},destination="s3"}} 1' in lines
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    for line in lines:
        assert line.startswith("# ") or len(line.rsplit(" ", 1)) == 2
    failed = subject.metrics(replace(OTHER, result=subject.FAILED))
    assert f"last_run_failed{{{of}}} 1" in failed
