# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill: an etcd that was started on a restored snapshot is asked what it serves. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from .errors import KubeadmError, RefusedError
from .etcd_api import EtcdApi, number

EVERY_KEY = {"key": "AA==", "range_end": "AA==", "count_only": True}
NEXT = "take another snapshot; look at this host's memory and disk"


@dataclass(frozen=True)
class Served:
    """What an etcd has. revision: its newest; keys and hash: at the revision `at`; compacted: up to which it forgot."""

    revision: int
    at: int
    keys: int
    hash: int
    compacted: int

    def result(self) -> Mapping[str, object]:
        """As it is returned."""
        return {**asdict(self), "hash": format(self.hash, "x")}


def ask(api: EtcdApi, stored: int, seconds: float) -> Served:
    """What it serves at the snapshot's newest revision.

    Its own revision may be higher: where etcd compacted beyond what is stored, or where a lease has ended meanwhile.
    """
    now = api.read()
    compacted, _hash = api.hash_kv(0, seconds)
    at = stored if compacted <= stored < now and stored else now
    return Served(now, at, _keys(api, at, seconds), api.hash_kv(at, seconds)[1], compacted)


def _keys(api: EtcdApi, at: int, seconds: float) -> int:
    return number(api.call("kv/range", {**EVERY_KEY, "revision": str(at)}, seconds).get("count"))


def judge(served: Served, stored: int, own: tuple[int, int] | None, where: str) -> None:
    """It serves what the snapshot holds. own: compaction and hash of its database as etcdutl told, where it could."""
    if served.revision < stored:
        found = f"it is at revision {served.revision}, and the snapshot holds revision {stored}"
        raise RefusedError(
            "an etcd on the restored snapshot has not all of it", where=where, found=found, next_step=NEXT
        )
    if own and served.at == served.revision and own[0] == served.compacted and own[1] != served.hash:
        found = f"its keys have the hash {served.hash:x}, those of the snapshot have {own[1]:x}"
        what = "an etcd on the restored snapshot has other data"
        raise RefusedError(what, where=where, found=found, next_step=NEXT)


def same(served: Served, member: EtcdApi, seconds: float) -> bool:
    """Whether the member has the same keys at that revision; False when it cannot tell any more."""
    try:
        compacted, key_hash = member.hash_kv(served.at, seconds)
        keys = _keys(member, served.at, seconds)
    except KubeadmError:
        return False
    if compacted != served.compacted:
        return False
    if (keys, key_hash) != (served.keys, served.hash):
        raise RefusedError(
            "the restored snapshot does not hold the member's data",
            where=member.endpoint,
            found=f"{served.keys} keys with the hash {served.hash:x} at revision {served.at}; "
            f"the member has {keys} with {key_hash:x}",
            next_step="run etcd_info, which compares all members",
        )
    return True
