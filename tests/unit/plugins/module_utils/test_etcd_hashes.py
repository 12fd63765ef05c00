# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hashes of the members' data: what may be compared, and who is the wrong one."""

from __future__ import annotations

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import etcd_hashes as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_api import Answer, EtcdApi


@pytest.mark.parametrize(
    ("hashes", "differing", "majority"),
    [
        ({}, set(), False),
        ({"a": 1}, set(), True),
        ({"a": 1, "b": 1, "c": 1}, set(), True),
        ({"a": 1, "b": 2, "c": 1}, {"b"}, True),
        ({"a": 1, "b": 2, "c": 3, "d": 1, "e": 1}, {"b", "c"}, True),
        ({"a": 1, "b": 2}, {"a", "b"}, False),
        ({"a": 1, "b": 2, "c": 3}, {"a", "b", "c"}, False),
        ({"a": 1, "b": 1, "c": 2, "d": 2}, {"a", "b", "c", "d"}, False),
        ({"a": 1, "b": 1, "c": 2, "d": 3}, {"a", "b", "c", "d"}, False),
    ],
)
def test_who_differs(hashes: dict[str, int], differing: set[str], majority: bool) -> None:
    found = subject.Hashes(9, hashes)
    assert found.differing == differing
    assert found.majority is majority


def test_only_what_was_compacted_alike_is_compared() -> None:
    found = subject.compare(9, {"a": (5, 1), "b": (5, 1), "c": (7, 2)})
    assert found.by_member == {"a": 1, "b": 1}
    assert not found.differing
    assert subject.compare(9, {}) == subject.Hashes()


class Member(EtcdApi):
    """A member at a revision, compacted to one; "compact" happens to it when its hash is asked for the first time."""

    def __init__(self, at: int, value: int, *, compacts: bool = False, error: Exception | None = None) -> None:
        super().__init__("https://m", lambda *_args: (200, b"{}"))
        self.at, self.value, self.compacts, self.error = at, value, compacts, error
        self.compacted_to, self.asked = -1, list[int]()

    def status(self) -> Answer:
        if isinstance(self.error, UnreachableError):
            raise self.error
        return {"header": {"revision": str(self.at)}}

    def hash_kv(self, at: int, timeout: float = 0) -> tuple[int, int]:
        self.asked.append(at)
        if self.error:
            raise self.error
        if self.compacts:
            self.compacts, self.at, self.compacted_to = False, self.at + 20, self.at + 10
            raise ApiError("etcd refused", status=400, found="required revision has been compacted")
        return self.compacted_to, self.value


def test_all_are_asked_at_the_newest_revision_that_all_have() -> None:
    members = {"a": Member(12, 1), "b": Member(10, 1), "c": Member(11, 2)}
    assert subject.take(members) == subject.Hashes(10, {"a": 1, "b": 1, "c": 2})


def test_a_compaction_in_between_is_no_difference() -> None:
    members = {"a": Member(10, 1), "b": Member(10, 1, compacts=True)}
    members["a"].at, members["a"].compacted_to = 30, 20
    assert subject.take(members) == subject.Hashes(30, {"a": 1, "b": 1})


def test_who_cannot_say_is_unknown() -> None:
    lacking = Member(10, 1, error=ApiError("etcd refused", status=404, found="Not Found"))
    silent = Member(10, 1, error=UnreachableError("etcd does not answer"))
    assert subject.take({"a": Member(10, 1), "b": lacking, "c": silent}).by_member == {"a": 1}
    assert lacking.asked == [10], "the others are not made to read everything again"
    assert subject.take({}) == subject.Hashes()
