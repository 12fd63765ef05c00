# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd's JSON gateway: what is sent, and what its answers become."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import etcd_api as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError, InputError, UnreachableError

URL = "https://192.0.2.11:2379"


class Gateway:
    """Answers everything with one answer and remembers what was asked."""

    def __init__(self, status: int, answer: object) -> None:
        self.status = status
        self.body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.asked: list[tuple[str, dict[str, object], float]] = []

    def __call__(self, url: str, body: bytes, timeout: float) -> tuple[int, bytes]:
        self.asked.append((url, json.loads(body), timeout))
        return self.status, self.body


def silent(url: str, body: bytes, timeout: float) -> tuple[int, bytes]:
    raise TimeoutError("timed out")


def test_what_is_sent() -> None:
    gateway = Gateway(200, {})
    api = subject.EtcdApi(URL + "/", gateway, timeout=3)
    api.members()
    api.members(linearizable=False)
    api.status()
    api.alarms()
    api.read()
    api.read(linearizable=False)
    assert api.empty("/registry/")
    assert api.hash_kv(7, timeout=30) == (0, 0)
    api.compact(9, timeout=60)
    api.defragment(60)
    api.disarm("ff", "NOSPACE")
    key, first, after = (base64.b64encode(word).decode() for word in (b"health", b"/registry/", b"/registry0"))
    assert gateway.asked == [
        (f"{URL}/v3/cluster/member/list", {"linearizable": True}, 3),
        (f"{URL}/v3/cluster/member/list", {"linearizable": False}, 3),
        (f"{URL}/v3/maintenance/status", {}, 3),
        (f"{URL}/v3/maintenance/alarm", {"action": "GET"}, 3),
        (f"{URL}/v3/kv/range", {"key": key, "limit": "1", "keys_only": True, "serializable": False}, 3),
        (f"{URL}/v3/kv/range", {"key": key, "limit": "1", "keys_only": True, "serializable": True}, 3),
        (f"{URL}/v3/kv/range", {"key": first, "range_end": after, "limit": "1", "keys_only": True}, 3),
        (f"{URL}/v3/maintenance/hashkv", {"revision": "7"}, 30),
        (f"{URL}/v3/kv/compaction", {"revision": "9", "physical": True}, 60),
        (f"{URL}/v3/maintenance/defragment", {}, 60),
        (f"{URL}/v3/maintenance/alarm", {"action": "DEACTIVATE", "memberID": "255", "alarm": "NOSPACE"}, 3),
    ]


def test_a_read_tells_the_revision_and_a_hash_what_it_is_of() -> None:
    answer = {"header": {"revision": "12"}, "hash": 77, "compact_revision": "-1"}
    assert subject.EtcdApi(URL, Gateway(200, answer)).read() == 12
    assert subject.EtcdApi(URL, Gateway(200, answer)).hash_kv(12) == (-1, 77)


def test_the_registry_is_not_empty_with_one_key() -> None:
    assert subject.EtcdApi(URL, Gateway(200, {"kvs": [{"key": "eA=="}], "count": "1"})).empty("/registry/") is False


def test_what_was_compacted_is_known_by_reading_at_the_revision_before() -> None:
    gone = Gateway(400, {"message": "etcdserver: mvcc: required revision has been compacted"})
    assert subject.EtcdApi(URL, gone).compacted(9)
    assert gone.asked[0][1]["revision"] == "8"
    there = Gateway(200, {})
    assert not subject.EtcdApi(URL, there).compacted(9)
    assert subject.EtcdApi(URL, there).compacted(1), "before the first revision there is nothing"
    with pytest.raises(ApiError, match="future revision"):
        subject.EtcdApi(URL, Gateway(400, {"message": "required revision is a future revision"})).compacted(9)


@pytest.mark.parametrize(("raw", "value"), [("18446744073709551615", 2**64 - 1), (7, 7), (None, 0), ("0", 0), ("", 0)])
def test_numbers_are_strings_and_zero_is_left_out(raw: object, value: int) -> None:
    assert subject.number(raw) == value


def test_ids_are_written_as_etcdctl_writes_them() -> None:
    assert subject.member_id("10276657743932975437") == "8e9e05c52164694d"


def test_alarms_belong_to_members() -> None:
    answer = {"alarms": [{"memberID": "255", "alarm": "NOSPACE"}, {"memberID": "1"}]}
    assert subject.EtcdApi(URL, Gateway(200, answer)).alarms() == [("ff", "NOSPACE"), ("1", "NONE")]
    assert subject.EtcdApi(URL, Gateway(200, {})).alarms() == []


@pytest.mark.parametrize(
    ("status", "answer", "found"),
    [
        (503, {"code": 14, "message": "etcdserver: no leader"}, "etcdserver: no leader"),
        (500, {"error": "broken"}, "broken"),
        (404, b"404 page not found", "404 page not found"),
        (200, b"<html>", "<html>"),
        (200, b"[]", "[]"),
    ],
)
def test_refusals_carry_etcds_words(status: int, answer: object, found: str) -> None:
    with pytest.raises(ApiError) as caught:
        subject.EtcdApi(URL, Gateway(status, answer)).status()
    assert (caught.value.status, caught.value.found, caught.value.where) == (status, found, URL)


def test_silence_is_unreachable() -> None:
    with pytest.raises(UnreachableError, match="timed out"):
        subject.EtcdApi(URL, silent).read()


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("not PEM")
    with pytest.raises(InputError) as caught:
        subject.tls_transport(str(tmp_path / "ca.crt"), "client.crt", "client.key")
    assert str(tmp_path / "ca.crt") in caught.value.where
