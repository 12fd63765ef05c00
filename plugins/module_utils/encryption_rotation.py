# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order API servers get another key for what they store. Pure.

The law: at every moment every API server that runs can read what any of them writes, and what is stored. So a key is
first read by all (added), then written by each (promoted), then everything is written again, and only when nothing in
etcd is under another key is that one dropped. Nothing is remembered: files and processes tell how far a run came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from .encryption import Key
from .errors import RefusedError

OURS = re.compile(r"key([1-9][0-9]{0,8})")
# How many names of objects a message has.
SHOWN = 5


@dataclass(frozen=True)
class Server:
    """An API server's host. file: the keys of its configuration; loaded: those that its process has begun with.

    None in loaded: no process runs. rest: what the configuration says beside its keys.
    """

    name: str
    file: tuple[Key, ...]
    loaded: tuple[Key, ...] | None
    rest: str = ""

    @property
    def fresh(self) -> bool:
        """Whether the process has what the file says."""
        return self.loaded == self.file

    @property
    def writes(self) -> frozenset[Key]:
        """The keys under which it writes, or will when it starts again."""
        return frozenset([self.file[0], *(self.loaded or self.file)[:1]])


@dataclass(frozen=True)
class Rotation:
    """What is left to do. add, promote, drop: hosts in order; keys: the keys of each of them after `add`, by name.

    donor: the host that has every key that others lack, or the one that makes it.
    """

    new: str
    makes: bool
    old: tuple[str, ...]
    add: tuple[str, ...]
    promote: tuple[str, ...]
    drop: tuple[str, ...]
    keys: Mapping[str, tuple[str, ...]]
    donor: str

    def result(self) -> dict[str, object]:
        """As it is returned."""
        return asdict(self)

    def steps(self) -> list[str]:
        """In words."""
        lines = []
        if self.add:
            how = "make" if self.makes else "bring"
            lines.append(f"{how} {self.new} and let it be read: {', '.join(self.add)}, one after another")
        if self.promote:
            lines.append(f"write under {self.new}: {', '.join(self.promote)}, one after another")
        lines.append(f"write everything again that is stored under {', '.join(self.old)}, and prove it in etcd")
        lines.append(f"drop {', '.join(self.old)}: {', '.join(self.drop)}, one after another")
        return lines


def number(name: str) -> int:
    """The number of a key that has a name like ours, 0 of others."""
    found = OURS.fullmatch(name)
    return int(found.group(1)) if found else 0


def plan(servers: Sequence[Server]) -> Rotation:
    """A new rotation, or what is left of one that was interrupted. RefusedError where one cannot be told."""
    _comparable(servers)
    known = {key for server in servers for key in (*server.file, *(server.loaded or ()))}
    makes = len(known) == 1
    names = sorted((key.name for key in known), key=number)
    new = f"key{number(names[-1]) + 1}" if makes else _newest(names, servers)
    # Whoever cannot read what another one writes cannot wait, whatever has led to it.
    needed = {key.name for server in servers for key in server.writes} | {new}
    written = {key.name for server in servers for key in server.writes} == {new}
    order = sorted(servers, key=lambda server: (server.loaded is not None, server.name))
    after: dict[str, tuple[str, ...]] = {}
    add, promote = [], []
    for server in order:
        own = tuple(key.name for key in server.file)
        lacks = sorted(needed - set(own), key=number)
        after[server.name] = (*own, *lacks)
        if lacks or (not server.fresh and not written):
            add.append(server.name)
        if own[0] != new or (written and not server.fresh):
            promote.append(server.name)
    donor = _donor(order, add, needed, makes=makes)
    return Rotation(
        new=new,
        makes=makes,
        old=tuple(name for name in names if name != new),
        add=tuple(add),
        promote=tuple(promote),
        drop=tuple(server.name for server in order if after[server.name] != (new,)),
        keys=after,
        donor=donor,
    )


def _names(keys: Iterable[Key]) -> set[str]:
    return {key.name for key in keys}


def _donor(order: Sequence[Server], add: Sequence[str], needed: set[str], *, makes: bool) -> str:
    if makes:
        return add[0]
    complete = [server.name for server in order if needed <= _names(server.file)]
    if add and not complete:
        raise _refused("no control plane has every key that is in use", order)
    return (complete or [""])[0]


def _newest(names: Sequence[str], servers: Sequence[Server]) -> str:
    """Ours count upwards. Among names of others the one that is written already."""
    return names[-1] if number(names[-1]) else servers[0].file[0].name


def _comparable(servers: Sequence[Server]) -> None:
    """One configuration with different keys at most, and one key for each name."""
    if len({server.rest for server in servers}) > 1:
        raise _refused("the encryption configurations of the control planes differ in more than their keys", servers)
    marks: dict[str, set[str]] = {}
    for server in servers:
        for key in (*server.file, *(server.loaded or ())):
            marks.setdefault(key.name, set()).add(key.mark)
    twice = sorted(name for name, found in marks.items() if len(found) > 1)
    if twice:
        raise _refused(f"different keys have the same name: {', '.join(twice)}", servers)


def require_promotable(servers: Sequence[Server], new: str) -> None:
    """Every API server that runs reads the new key, so that any may write under it."""
    _comparable(servers)
    late = [server.name for server in servers if not server.fresh or new not in _names(server.file)]
    if late:
        raise _refused(f"{', '.join(late)} cannot read {new} yet; nobody may write under it", servers)


def require_rewritable(servers: Sequence[Server], new: str) -> None:
    """Whatever is written from now on is under the new key."""
    _comparable(servers)
    late = [server.name for server in servers if not server.fresh or server.file[0].name != new]
    if late:
        raise _refused(f"{', '.join(late)} may still write under another key than {new}", servers)


def require_unused(stored: Mapping[str, int], examples: Sequence[str], new: str) -> None:
    """stored: how many values etcd has under each provider and key. A key that one of them needs is never dropped."""
    others = {name: count for name, count in stored.items() if name != f"secretbox:{new}" and count}
    if others:
        raise RefusedError(
            f"etcd has values that {new} cannot read; no key was dropped",
            where="etcd",
            found=", ".join(f"{count} under {name}" for name, count in sorted(others.items()))
            + f" (for example {', '.join(examples[:SHOWN])})",
            next_step="run this again. An object of a kind that the encryption configuration names no more has "
            "to be written again by hand: kubectl get KIND -A -o json | kubectl replace -f -",
        )


def _refused(what: str, servers: Sequence[Server]) -> RefusedError:
    return RefusedError(
        what,
        where="/etc/kubernetes/encryption/config.yaml of the control planes",
        found="; ".join(f"{server.name}: {told(server)}" for server in servers),
        next_step="compare the files; the first key writes, all of them read. Never drop a key that etcd still needs",
    )


def told(server: Server) -> str:
    """A server's keys in words."""
    names = " ".join(f"{key.name} ({key.mark[:6]})" for key in server.file)
    if server.fresh:
        return names
    if server.loaded is None:
        return f"{names}, its API server does not run"
    return f"{names}, its API server runs with {' '.join(key.name for key in server.loaded) or 'other keys'}"
