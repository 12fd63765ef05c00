# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first start of a member of a new etcd cluster: may it begin, does it go on, is it done? Pure.

A file with the initial members is written just before the first start and removed once the member is healthy; while
it is there, it says that a beginning of ours has not finished. Whoever has data without it was a member before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .errors import InputError, RefusedError
from .etcd_api import Answer

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
TOKEN = re.compile(r"[A-Za-z0-9._:-]{1,120}", re.ASCII)
PEER_URL = re.compile(r"https://(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):\d{1,5}", re.ASCII)
LINE = re.compile(r"""^(ETCD_INITIAL_CLUSTER(?:_STATE|_TOKEN)?)=["']?([^"'\n]*)["']?\s*$""", re.MULTILINE)
OTHER_CA = "CERTIFICATE_VERIFY_FAILED"
AMNESIA = "start it with its old data, or remove the member and let the machine join again as a new one"


@dataclass(frozen=True)
class Begin:
    """What is wanted: this member's name, all members of the new cluster by name, and the cluster's token."""

    name: str
    members: Mapping[str, str]
    token: str

    def __post_init__(self) -> None:
        bad = [name for name, url in self.members.items() if not NAME.fullmatch(name) or not PEER_URL.fullmatch(url)]
        if bad or not TOKEN.fullmatch(self.token):
            raise InputError(
                "these are no initial members of etcd, or no token",
                found=", ".join(repr(name[:80]) for name in bad) or "the token",
                next_step="give names and peer URLs like https://192.0.2.31:2380",
            )
        if self.name not in self.members or len(set(self.members.values())) != len(self.members):
            raise InputError(
                "the initial members do not fit",
                where=self.name,
                found=", ".join(f"{name}={url}" for name, url in sorted(self.members.items())),
                next_step="name every member once, each with a peer URL of its own, and this one among them",
            )

    @property
    def peer_url(self) -> str:
        """This member's."""
        return self.members[self.name]

    def text(self) -> str:
        """The file of the first start."""
        cluster = ",".join(f"{name}={url}" for name, url in sorted(self.members.items()))
        return (
            f'ETCD_INITIAL_CLUSTER="{cluster}"\nETCD_INITIAL_CLUSTER_STATE="new"\n'
            f'ETCD_INITIAL_CLUSTER_TOKEN="{self.token}"\n'
        )


@dataclass(frozen=True)
class Known:
    """A member as another one lists it. started: it has been up, and told its client URLs."""

    name: str
    peer_urls: tuple[str, ...]
    started: bool


@dataclass(frozen=True)
class Seen:
    """The host and who answers.

    own: the members that this host's etcd lists, None when it does not answer. others: by URL, the members that are
    listed there, or why nobody says any. settled: this host's etcd has a majority behind it.
    """

    data: bool
    initial: str | None
    own: tuple[Known, ...] | None = None
    settled: bool = False
    others: Mapping[str, tuple[Known, ...] | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Beginning:
    """What is left to do, in this order. waits: also for the member to be healthy."""

    writes: bool = False
    starts: bool = False
    waits: bool = False
    finishes: bool = False

    def steps(self, unit: str, initial_file: str) -> list[str]:
        """In plain words; to wait is no step of its own."""
        words = (
            (self.writes, f"write {initial_file}"),
            (self.starts, f"start {unit}"),
            (self.finishes, f"remove {initial_file}, the member is healthy"),
        )
        return [text for wanted, text in words if wanted]


def members_of(answer: Answer) -> tuple[Known, ...]:
    """etcd's list of members."""
    return tuple(
        Known(str(raw.get("name", "")), tuple(raw.get("peerURLs") or ()), bool(raw.get("clientURLs")))
        for raw in answer.get("members") or []
    )


def decide(want: Begin, seen: Seen) -> Beginning:
    """What is left to do. Raises RefusedError when this is no beginning, or not ours."""
    if seen.own is not None:
        return _answering(want, seen, seen.own)
    if seen.data:
        _require_our_beginning(want, seen.initial)
        return Beginning(starts=True, waits=True, finishes=True)
    _require_no_join(seen.initial)
    for url, told in seen.others.items():
        _require_same_birth(want, url, told)
    return Beginning(writes=seen.initial != want.text(), starts=True, waits=True, finishes=True)


def _answering(want: Begin, seen: Seen, listed: Sequence[Known]) -> Beginning:
    if not any(known.name == want.name and want.peer_url in known.peer_urls for known in listed):
        raise RefusedError(
            "the etcd on this host belongs to another cluster",
            where=want.name,
            found=f"it lists {_names(listed)}; wanted is {want.name} at {want.peer_url}",
            next_step="stop it and move /var/lib/etcd away if nobody needs it",
        )
    return Beginning(waits=not seen.settled, finishes=_state(seen.initial) == "new")


def _require_our_beginning(want: Begin, initial: str | None) -> None:
    if initial == want.text():
        return
    if initial is None:
        raise RefusedError(
            "this host has data of an etcd that is no beginning of ours",
            where="/var/lib/etcd",
            found="data, and nothing that says that a bootstrap was interrupted here",
            next_step="`systemctl start etcd` if it is a member of this cluster; else move the data away",
        )
    _require_no_join(initial)
    raise RefusedError(
        "a bootstrap with other members has begun on this host",
        where="/var/lib/etcd",
        found=", ".join(f"{name}={value}" for name, value in LINE.findall(initial)) or "an unreadable file",
        next_step="go on with the members as they were then, or move the data away on every machine that is to begin",
    )


def _require_no_join(initial: str | None) -> None:
    if _state(initial) == "existing":
        raise RefusedError(
            "this host has begun to join a cluster that exists",
            where="/etc/etcd/initial.env",
            found="a join that has not finished",
            next_step="let it join (entry point join), or remove the file when that cluster is gone",
        )


def _state(initial: str | None) -> str:
    values = {str(name): str(value) for name, value in LINE.findall(initial or "")}
    return values.get("ETCD_INITIAL_CLUSTER_STATE", "")


def _require_same_birth(want: Begin, url: str, told: tuple[Known, ...] | str) -> None:
    """Another member of this very cluster may be up already; any other cluster is none of ours."""
    if isinstance(told, str):
        if OTHER_CA in told:
            raise RefusedError(
                "an etcd of another CA answers where a member of the new cluster shall be",
                where=url,
                found=told,
                next_step="stop it there if nobody needs it, or give its CA as etcd_ca_cert and etcd_ca_key",
            )
        return
    own = [known for known in told if want.peer_url in known.peer_urls]
    same = {known.name: list(known.peer_urls) for known in told} == {n: [u] for n, u in want.members.items()}
    if own and own[0].started:
        raise RefusedError(
            "this member has lived before, and its data is gone",
            where=want.name,
            found=f"{url} lists {_names(told)}",
            next_step=AMNESIA,
        )
    if not same:
        raise RefusedError(
            "a cluster of etcd exists already",
            where=url,
            found=f"it lists {_names(told)}",
            next_step="let this machine join it (entry point join), or correct etcd_initial_members",
        )


def _names(listed: Sequence[Known]) -> str:
    return ", ".join(f"{known.name or '(not started)'}={','.join(known.peer_urls)}" for known in listed) or "nobody"
