"""What a download may be: paths below the directory, checksums, http URLs; and sums as publishers tell them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import downloads as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError

ROW: dict[str, Any] = {"path": "downloads/a", "urls": ["https://h/a"], "sha256": "a" * 64}


def test_a_row_becomes_a_download() -> None:
    (one,) = subject.parse_downloads([{**ROW, "size": 3, "unpack": {"bin/a": "programs/a"}}])
    assert one == subject.Download("downloads/a", ("https://h/a",), "a" * 64, 3, (), {"bin/a": "programs/a"})


@pytest.mark.parametrize(
    "change",
    [
        {"path": "/etc/passwd"},
        {"path": "../a"},
        {"path": "a/../../b"},
        {"path": ""},
        {"path": "a b"},
        {"unpack": {"a": "../../usr/bin/a"}},
        {"sha256": ""},
        {"sha256": "A" * 64},
        {"sha256": "a" * 63},
        {"urls": []},
        {"urls": ["file:///etc/shadow"]},
        {"urls": ["https://"]},
        {"sums_urls": ["ftp://h/sums"], "sha256": ""},
    ],
)
def test_a_row_that_cannot_be_used(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        subject.parse_downloads([{**ROW, **change}])


def test_two_downloads_to_one_path() -> None:
    with pytest.raises(InputError, match="same path"):
        subject.parse_downloads([ROW, {**ROW, "urls": ["https://h/b"]}])


@given(st.text(max_size=30))
def test_no_path_leaves_the_directory(path: str) -> None:
    try:
        (one,) = subject.parse_downloads([{**ROW, "path": path}])
    except InputError:
        return
    assert not one.path.startswith("/")
    assert ".." not in one.path.split("/")


@given(st.text(alphabet="0123456789abcdef \n*./tool", max_size=200))
def test_a_checksum_is_64_digits_or_nothing(text: str) -> None:
    found = subject.checksum_in(text, "tool")
    assert found == "" or subject.SHA256.fullmatch(found)


def test_a_list_without_the_name_has_no_checksum() -> None:
    assert subject.checksum_in("a" * 64 + "  runc.arm64\n", "runc.amd64") == ""
    assert subject.checksum_in("a" * 64 + "  runc.arm64\n" + "b" * 64 + "  runc.amd64\n", "runc.amd64") == "b" * 64
