# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What etcd_member is asked for, and which of join, leave and sweep answers it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import InputError
from .etcd_join import join
from .etcd_leave import leave
from .etcd_sweep import sweep
from .etcd_world import Outcome, Settings, World
from .membership import Join

# Documented in plugins/modules/etcd_member.py.
OPTIONS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "promoted", "absent", "swept"], "required": True},
    "name": {"type": "str", "default": ""},
    "peer_urls": {"type": "list", "elements": "str", "default": []},
    "member_id": {"type": "str", "default": ""},
    "unit": {"type": "str", "default": ""},
    "initial_file": {"type": "path", "default": "/etc/etcd/initial.env"},
    "data_dir": {"type": "path", "default": "/var/lib/etcd"},
    "joining": {"type": "list", "elements": "str", "default": []},
    "wait_seconds": {"type": "float", "default": 120.0},
    "sample_seconds": {"type": "float", "default": 5.0},
    "orphan_seconds": {"type": "int", "default": 120},
    "confirm_no_tolerance": {"type": "bool", "default": False},
}
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_ID = re.compile(r"[0-9a-fA-F]{1,16}")
_URL = re.compile(r"https://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]*):[0-9]{1,5}")


@dataclass(frozen=True)
class Asked:
    """The options that say which member and what of it, checked."""

    state: str
    name: str = ""
    peer_urls: tuple[str, ...] = ()
    member_id: str = ""
    joining: tuple[str, ...] = ()
    confirmed: bool = False


def asked(params: Mapping[str, Any]) -> Asked:
    """The options. Names and URLs get into files and URLs, so they are read strictly."""
    wanted = Asked(
        params["state"],
        params["name"],
        tuple(params["peer_urls"]),
        params["member_id"],
        tuple(params["joining"]),
        params["confirm_no_tolerance"],
    )
    joins = wanted.state in ("present", "promoted")
    leaves = wanted.state == "absent"
    _expect(not wanted.name or bool(_NAME.fullmatch(wanted.name)), "name", wanted.name, "letters, digits, . _ -")
    _expect(not joins or bool(wanted.name), "name", "", "the member's name")
    _expect(not joins or bool(wanted.peer_urls), "peer_urls", "", "the member's peer URLs")
    for url in wanted.peer_urls:
        _expect(bool(_URL.fullmatch(url)), "peer_urls", url, "https://ADDRESS:PORT and nothing after it")
    _expect(not wanted.member_id or bool(_ID.fullmatch(wanted.member_id)), "member_id", wanted.member_id, "hexadecimal")
    _expect(not leaves or bool(wanted.name or wanted.member_id or wanted.peer_urls), "member_id", "", "which member")
    seconds = [params[key] for key in ("wait_seconds", "sample_seconds", "orphan_seconds")]
    _expect(
        all(value > 0 for value in seconds), "wait_seconds, sample_seconds, orphan_seconds", str(seconds), "above 0"
    )
    return wanted


def settings(params: Mapping[str, Any]) -> Settings:
    """The times."""
    return Settings(params["wait_seconds"], params["sample_seconds"], params["orphan_seconds"])


def run(world: World, wanted: Asked, effects: bool) -> Outcome:
    """See to it; without `effects` the same, but nothing is changed."""
    if wanted.state == "swept":
        return sweep(world, wanted.joining, effects)
    if wanted.state == "absent":
        return leave(
            world,
            name=wanted.name,
            member_id=wanted.member_id,
            peer_urls=wanted.peer_urls,
            confirmed=wanted.confirmed,
            effects=effects,
        )
    return join(world, Join(wanted.name, wanted.peer_urls, vote=wanted.state == "promoted"), effects)


def _expect(good: bool, option: str, found: str, wanted: str) -> None:
    if not good:
        raise InputError(
            f"{option} cannot be used", where=option, found=repr(found[:80]), next_step=f"give {wanted} there"
        )
