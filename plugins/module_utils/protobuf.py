# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of Protocol Buffers that etcd's log is made of: numbers and bytes by field. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Union

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
LONGEST = 10
Value = Union[int, bytes]


class Message(dict[int, Value]):
    """Field number to value, the last one of each."""

    def number(self, field: int) -> int:
        """A number; one that is zero may be left out."""
        value = self.get(field, 0)
        return value if isinstance(value, int) else 0

    def data(self, field: int) -> bytes:
        """Bytes."""
        value = self.get(field, b"")
        return value if isinstance(value, bytes) else b""


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    """A number and where it ends. Raises IndexError when it does not end, ValueError when it is too long."""
    value = shift = 0
    while True:
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, offset
        shift += 7
        if shift >= 7 * LONGEST:
            raise ValueError


def _value(data: bytes, offset: int, kind: int) -> tuple[Value, int]:
    if kind == VARINT:
        return _varint(data, offset)
    size = {FIXED64: 8, FIXED32: 4}.get(kind, 0)
    if kind == BYTES:
        size, offset = _varint(data, offset)
    if not (size or kind == BYTES) or offset + size > len(data):
        raise ValueError
    return data[offset : offset + size], offset + size


def parse(data: bytes) -> Message | None:
    """The fields of a message; None when it is none."""
    found, offset = Message(), 0
    try:
        while offset < len(data):
            tag, offset = _varint(data, offset)
            if tag < 8:
                return None
            found[tag >> 3], offset = _value(data, offset, tag & 7)
    except (IndexError, ValueError):
        return None
    return found


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(fields: Mapping[int, Value]) -> bytes:
    """A message of these fields, in this order; zero is written as well."""
    out = b""
    for number, value in fields.items():
        if isinstance(value, int):
            out += _encoded(number << 3 | VARINT) + _encoded(value)
        else:
            out += _encoded(number << 3 | BYTES) + _encoded(len(value)) + value
    return out
