# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table and the JSON document of a verification."""

from __future__ import annotations

import json

from ansible_collections.quorum.kubeadm.plugins.plugin_utils import verify_table as subject

OK = {"check": "nodes", "subject": "cp1, w1", "status": "ok", "found": "2 Ready", "next_step": ""}
WARN = {"check": "zones", "subject": "cp1", "status": "warn", "found": "all in a", "next_step": "Spread them"}
FAIL = {"check": "api", "subject": "cp2", "status": "fail", "found": "refused", "next_step": "Look at cp2"}


def test_columns_are_aligned_and_failures_come_last() -> None:
    assert subject.table([FAIL, OK, WARN], ["limited"]).splitlines() == [
        "STATUS  CHECK  SUBJECT  FOUND",
        "ok      nodes  cp1, w1  2 Ready",
        "WARN    zones  cp1      all in a",
        "                        -> Spread them",
        "FAIL    api    cp2      refused",
        "                        -> Look at cp2",
        "note: limited",
        "verify: NOT in order (1 ok, 1 to look at, 1 failed)",
    ]


def test_long_texts_are_wrapped_within_their_column() -> None:
    long = {**FAIL, "subject": "a name, " * 10, "found": "word " * 60, "next_step": "step " * 40}
    lines = subject.table([long], []).splitlines()
    assert max(len(line) for line in lines) <= 8 + 7 + subject.SUBJECT_WIDTH + 2 + subject.FOUND_WIDTH
    assert " ".join(lines).count("word") == 60
    assert " ".join(lines).count("step") == 40
    assert " ".join(lines).count("name") == 10


def test_line_breaks_in_what_was_found_do_not_break_the_table() -> None:
    assert subject.table([{**FAIL, "found": "one\ntwo"}], []).splitlines()[1].endswith("one two")


def test_the_verdict() -> None:
    assert subject.verdict([OK, WARN]) == "verify: in order (1 ok, 1 to look at, 0 failed)"
    assert subject.failing([OK, FAIL, FAIL, {**FAIL, "check": "vip"}]) == "api, vip"


def test_the_document_is_one_line_that_can_be_found() -> None:
    line = subject.one_line(subject.document([OK, FAIL], ["limited"], {"nodes": 1.5}))
    assert line.startswith('{"verify":')
    assert "\n" not in line
    assert json.loads(line) == {
        "verify": {
            "ok": False,
            "counts": {"ok": 1, "warn": 0, "fail": 1},
            "rows": [OK, FAIL],
            "notes": ["limited"],
            "seconds": {"nodes": 1.5},
        }
    }
    assert subject.document([OK, WARN], [], {})["verify"]["ok"] is True
