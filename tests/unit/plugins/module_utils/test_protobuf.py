# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages there and back, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.protobuf import Message, encode, parse

FIELDS = st.dictionaries(st.integers(1, 1 << 20), st.integers(0, (1 << 64) - 1) | st.binary(max_size=200), max_size=8)


@given(FIELDS)
def test_there_and_back(fields: dict[int, int | bytes]) -> None:
    assert parse(encode(fields)) == fields


@given(FIELDS, st.data())
def test_a_message_that_is_cut_is_none_or_ends_between_two_fields(
    fields: dict[int, int | bytes], data: st.DataObject
) -> None:
    whole = encode(fields)
    cut = data.draw(st.integers(0, len(whole)))
    found = parse(whole[:cut])
    assert found is None or found.items() <= fields.items()


def test_fields_that_etcd_does_not_use_are_passed_over() -> None:
    assert parse(b"\x09" + b"12345678" + b"\x15" + b"1234" + b"\x18\x07") == {1: b"12345678", 2: b"1234", 3: 7}


@pytest.mark.parametrize("wrong", [b"\x00\x01", b"\x0b", b"\x08", b"\x08" + b"\xff" * 11, b"\x1a\x05abc"])
def test_what_is_no_message(wrong: bytes) -> None:
    assert parse(wrong) is None


def test_a_field_of_another_kind_counts_as_left_out() -> None:
    found = Message({1: b"x", 2: 3})
    assert (found.number(1), found.data(2), found.number(9), found.data(9)) == (0, b"", 0, b"")
