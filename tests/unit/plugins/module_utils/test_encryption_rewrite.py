# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing again, where others change and delete the same objects, and what a value in etcd tells of its key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import encryption_rewrite as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils import encryption_stored
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError
from ansible_collections.quorum.kubeadm.plugins.module_utils.https import Response

KIND = subject.Kind("/api/v1", "secrets", namespaced=True)


class FakeApi:
    """Answers as they were put in; what was sent is kept."""

    def __init__(self, *answers: tuple[int, dict[str, Any]]) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, str, dict[str, Any] | None]] = []

    def get(self, path: str) -> dict[str, Any]:
        return self.parsed(self.raw("GET", path), "GET", path)

    def raw(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "",
        accept: str = "",
    ) -> Response:
        assert "PartialObjectMetadata" in accept, "no Secret's content is asked for"
        assert method != "PATCH" or content_type == subject.MERGE
        self.sent.append((method, f"{path}?{(query or {}).get('continue', '')}".rstrip("?"), body))
        status, answer = self.answers.pop(0)
        return Response(status, "reason", json.dumps(answer).encode())

    def parsed(self, response: Response, method: str, path: str) -> dict[str, Any]:
        if response.status >= 400:
            raise ApiError(f"{method} {path}", status=response.status)
        value = json.loads(response.body)
        assert isinstance(value, dict)
        return value


def page(*names: str, onward: str = "") -> tuple[int, dict[str, Any]]:
    items = [{"metadata": {"name": name, "namespace": "x", "resourceVersion": "1"}} for name in names]
    return 200, {"items": items, "metadata": {"continue": onward}}


def version(number: int) -> tuple[int, dict[str, Any]]:
    return 200, {"metadata": {"resourceVersion": str(number)}}


def test_what_is_sent_is_bound_to_what_was_read_and_says_nothing_else() -> None:
    api = FakeApi(page("a"), version(2))
    counts = subject.rewrite(api, KIND, effects=True)
    assert (counts.seen, counts.rewritten, counts.current) == (1, 1, 0)
    path = "/api/v1/namespaces/x/secrets/a"
    assert api.sent[1:] == [("PATCH", path, {"metadata": {"resourceVersion": "1"}})]


def test_a_conflict_is_read_again() -> None:
    api = FakeApi(page("a"), (409, {}), version(5), version(6))
    assert subject.rewrite(api, KIND, effects=True).rewritten == 1
    assert api.sent[-1][2] == {"metadata": {"resourceVersion": "5"}}


def test_what_others_delete_is_gone() -> None:
    api = FakeApi(page("a", "b"), (404, {}), (409, {}), (404, {}))
    assert subject.rewrite(api, KIND, effects=True).gone == 2


def test_an_object_that_never_rests_ends_the_run() -> None:
    api = FakeApi(page("a"), *([(409, {}), version(5)] * subject.TRIES))
    with pytest.raises(ApiError, match="too often"):
        subject.rewrite(api, KIND, effects=True)


def test_any_other_answer_ends_the_run() -> None:
    with pytest.raises(ApiError):
        subject.rewrite(FakeApi(page("a"), (500, {})), KIND, effects=True)


def test_a_list_that_has_expired_begins_again() -> None:
    api = FakeApi(page("a", onward="next"), version(1), (410, {}), page("a", "b"), version(1), version(2))
    counts = subject.rewrite(api, KIND, effects=True)
    assert (counts.rewritten, counts.current) == (1, 2)
    lists = [path for method, path, _body in api.sent if method == "GET"]
    assert lists == ["/api/v1/secrets", "/api/v1/secrets?next", "/api/v1/secrets"]


def test_nothing_is_sent_without_effects() -> None:
    api = FakeApi(page("a", "b"))
    assert subject.rewrite(api, KIND, effects=False).seen == 2
    assert [method for method, _path, _body in api.sent] == ["GET"]


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (b"k8s:enc:secretbox:v1:key1:\x00\xff:more:", "secretbox:key1"),
        (b"k8s:enc:secretbox:v1:key10:x", "secretbox:key10"),
        (b"k8s:enc:aescbc:v1:old:x", "aescbc:old"),
        (b"k8s:enc:kms:v2:vault:x", "kms:vault"),
        (b"k8s:enc:secretbox", "secretbox:?"),
        (b"k8s\x00\n\x0c", ""),
        (b"", ""),
        (b"not k8s:enc:secretbox:v1:key1:", ""),
    ],
)
def test_the_key_of_a_value(value: bytes, key: str) -> None:
    assert encryption_stored.under(value) == key
