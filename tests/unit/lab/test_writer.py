# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes are numbered so that each can only follow the newest known state."""

from __future__ import annotations

import json

import pytest

from lab.channel import Answer
from lab.errors import LabError
from lab.prober import facts
from lab.writer import Writer, outcome


def answer(status: int = 200, body: bytes = b"", sent: bool = True, error: str = "") -> Answer:
    return Answer(start=1.0, end=1.5, status=status, body=body, error=error, sent=sent)


def carried(version: int, written: str, run: str = "run") -> Answer:
    content = {"metadata": {"resourceVersion": str(version)}, "data": {"run": run, "written": written}}
    return answer(body=json.dumps(content).encode())


def body_of(request_body: bytes | None) -> dict[str, object]:
    assert request_body is not None
    content: dict[str, object] = json.loads(request_body)
    return content


def test_a_write_needs_a_known_object() -> None:
    with pytest.raises(LabError, match="never read"):
        Writer("new", "ns", "run").attempt()


def test_a_write_carries_the_version_and_the_history_it_builds_on() -> None:
    writer = Writer("new", "ns", "run")
    assert writer.learn(carried(7, "1-3")) is not None
    attempt = writer.attempt()
    content = body_of(attempt.request.body)
    assert attempt.seq == 4
    assert attempt.request.method == "PUT"
    assert content["metadata"] == {"name": "probe-new", "resourceVersion": "7"}
    assert content["data"] == {"run": "run", "written": "1-4"}


def test_two_writes_under_way_at_once_never_share_a_number() -> None:
    writer = Writer("new", "ns", "run")
    writer.learn(carried(7, "1-3"))
    first, second = writer.attempt(), writer.attempt()
    assert (first.seq, second.seq) == (4, 5)
    assert body_of(second.request.body)["data"] == {"run": "run", "written": "1-3,5"}


def test_a_late_answer_does_not_bring_an_older_state_back() -> None:
    writer = Writer("new", "ns", "run")
    writer.learn(carried(9, "1-5"))
    writer.learn(carried(7, "1-3"))
    assert body_of(writer.attempt().request.body)["metadata"] == {"name": "probe-new", "resourceVersion": "9"}


def test_where_etcd_may_go_back_what_is_there_now_is_built_on_with_a_new_number() -> None:
    writer = Writer("new", "ns", "run")
    writer.learn(carried(9, "1-5"))
    writer.attempt()
    writer.learn(carried(7, "1-3"), back=True)
    attempt = writer.attempt()
    assert attempt.seq == 7, "no number is ever given twice"
    content = body_of(attempt.request.body)
    assert (content["metadata"], content["data"]) == (
        {"name": "probe-new", "resourceVersion": "7"},
        {"run": "run", "written": "1-3,7"},
    )


def test_an_object_of_another_run_is_not_taken_for_ones_own() -> None:
    writer = Writer("new", "ns", "run")
    foreign = carried(9, "1-5", run="another")
    assert writer.learn(foreign) is None
    assert writer.version(foreign) == 9


@pytest.mark.parametrize(
    "broken", [b"", b"not json", b"[]", b'{"metadata": {}}', b'{"metadata": {"resourceVersion": "x"}}']
)
def test_an_answer_without_an_object_teaches_nothing(broken: bytes) -> None:
    assert Writer("new", "ns", "run").learn(answer(body=broken)) is None


@pytest.mark.parametrize(
    ("status", "sent", "expected"),
    [
        (200, True, "ok"),
        (201, True, "ok"),
        (409, True, "conflict"),
        (403, True, "failed"),
        (429, True, "failed"),
        (500, True, "unknown"),
        (504, True, "unknown"),
        (0, True, "unknown"),
        (0, False, "failed"),
    ],
)
def test_a_write_without_a_clear_answer_is_unknown(status: int, sent: bool, expected: str) -> None:
    assert outcome(answer(status=status, sent=sent)) == expected


def test_a_read_is_never_ambiguous() -> None:
    assert facts(answer(status=0, sent=True), writes=False)["outcome"] == "failed"
    assert facts(answer(status=503), writes=False)["outcome"] == "failed"
    assert facts(answer(status=200), writes=False)["outcome"] == "ok"
