# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CRC-32C (Castagnoli), which etcd's log uses and Python does not have. Four bytes a step: a log is hundreds of MB."""

from __future__ import annotations

import functools
import sys
from array import array

POLYNOMIAL = 0x82F63B78
ONES = 0xFFFFFFFF


@functools.lru_cache(maxsize=1)
def _tables() -> tuple[array[int], array[int]]:
    """What two bytes become, and what they become when two more are behind them."""
    near = array("I", bytes(4 << 16))
    for bit in range(16):
        value = 1 << bit
        for _step in range(16):
            value = value >> 1 ^ POLYNOMIAL * (value & 1)
        near[1 << bit] = value
    for number in range(1, 1 << 16):
        near[number] = near[number & (number - 1)] ^ near[number & -number]
    return near, array("I", (value >> 16 ^ near[value & 0xFFFF] for value in near))


def update(checksum: int, data: bytes) -> int:
    """The checksum of what had this checksum, followed by these bytes."""
    near, far = _tables()
    whole = len(data) & ~3
    words = array("I", data[:whole])
    if sys.byteorder == "big":
        words.byteswap()
    value = checksum ^ ONES
    for word in words:
        value ^= word
        value = far[value & 0xFFFF] ^ near[value >> 16]
    for byte in data[whole:]:
        value ^= byte
        for _step in range(8):
            value = value >> 1 ^ POLYNOMIAL * (value & 1)
    return value ^ ONES
