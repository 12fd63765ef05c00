# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls that change an etcd cluster: its members, its leader, a few keys and leases. Each takes the gateway to call."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .errors import ApiError, KubeadmError
from .etcd_api import Answer, EtcdApi, number

# What etcd says while it would take the same call a moment later. It wants its members to have been connected for 5 s.
_PASSING = ("unhealthy cluster", "request timed out", "leader changed", "no leader", "too many requests", "stopped")
_BEHIND = "learner member which is in sync with leader"
_VOTES_ALREADY = "can only promote a learner member"
_GONE = ("member not found",)
# The second one within the second of the first call: etcd makes a member's ID of its peer URLs and the second.
_THERE = ("peer urls already exists", "member id already exist")
_ADD = "cluster/member/add"


@dataclass(frozen=True)
class Value:
    """A key's value; `lease` is 0 for one that stays."""

    text: str
    lease: int
    revision: int


def passing(error: KubeadmError) -> bool:
    """Whether the same call may well succeed a moment later, or has succeeded although nobody heard of it."""
    return not isinstance(error, ApiError) or _says(error, _PASSING) or _too_soon(error)


def _too_soon(error: KubeadmError) -> bool:
    """Whether a member with these peer URLs was removed in this very second: the new one would get its ID, and the ID
    of a removed member is never taken again. In the next second the new one has another."""
    return _ADD in error.what and _says(error, _GONE)


def still_behind(error: KubeadmError) -> bool:
    """Whether etcd says that the learner has not caught up yet."""
    return _BEHIND in error.found.lower()


def add_learner(api: EtcdApi, peer_urls: Sequence[str]) -> None:
    """Make a learner known. That it is known already is what was wanted."""
    _tolerating(api, _ADD, {"peerURLs": list(peer_urls), "isLearner": True}, _THERE)


def promote(api: EtcdApi, member: str) -> None:
    """Make a learner a voter. That it votes already is what was wanted."""
    try:
        api.call("cluster/member/promote", {"ID": _decimal(member)})
    except ApiError as exc:
        if still_behind(exc) or _VOTES_ALREADY not in exc.found.lower():
            raise


def remove(api: EtcdApi, member: str) -> None:
    """Remove a member. That it is gone already is what was wanted."""
    _tolerating(api, "cluster/member/remove", {"ID": _decimal(member)}, _GONE)


def move_leader(api: EtcdApi, to: str) -> None:
    """Hand the leadership over; `api` is the leader's own."""
    api.call("maintenance/transfer-leadership", {"targetID": _decimal(to)})


def grant(api: EtcdApi, seconds: int) -> int:
    """A lease of that length."""
    return number(api.call("lease/grant", {"TTL": str(seconds)}).get("ID"))


def keep_alive(api: EtcdApi, lease: int) -> int:
    """Begin the lease's time anew; the seconds that it has then, 0 when it is over."""
    answer = api.call("lease/keepalive", {"ID": str(lease)})
    result = answer.get("result")
    return number(result.get("TTL")) if isinstance(result, dict) else 0


def time_to_live(api: EtcdApi, lease: int) -> tuple[int, int]:
    """Seconds that are left of a lease, and that it was granted for."""
    answer = api.call("lease/timetolive", {"ID": str(lease)})
    return number(answer.get("TTL")), number(answer.get("grantedTTL"))


def revoke(api: EtcdApi, lease: int) -> None:
    """End a lease, and with it the keys that are bound to it."""
    _tolerating(api, "lease/revoke", {"ID": str(lease)}, ("requested lease not found",))


def put(api: EtcdApi, key: str, value: str, lease: int = 0) -> None:
    """Write a key."""
    api.call("kv/put", {"key": _coded(key), "value": _coded(value), "lease": str(lease)})


def replace(api: EtcdApi, key: str, value: str, lease: int, revision: int) -> bool:
    """Write a key if nobody has since that revision, 0: if there is none. Whether it was written."""
    condition = {"target": "MOD", "key": _coded(key), "result": "EQUAL", "modRevision": str(revision)}
    write = {"requestPut": {"key": _coded(key), "value": _coded(value), "lease": str(lease)}}
    return bool(api.call("kv/txn", {"compare": [condition], "success": [write]}).get("succeeded"))


def forget(api: EtcdApi, keys: Iterable[str]) -> None:
    """Delete these keys at once."""
    api.call("kv/txn", {"success": [{"requestDeleteRange": {"key": _coded(key)}} for key in keys]})


def below(api: EtcdApi, prefix: str) -> dict[str, Value]:
    """Every key that begins like this."""
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    answer = api.call("kv/range", {"key": _coded(prefix), "range_end": _coded(end)})
    return dict(_value(raw) for raw in answer.get("kvs") or [])


def _value(raw: Answer) -> tuple[str, Value]:
    text = base64.b64decode(raw.get("value", "")).decode("utf-8", "replace")
    return base64.b64decode(raw["key"]).decode(), Value(text, number(raw.get("lease")), number(raw.get("mod_revision")))


def _tolerating(api: EtcdApi, path: str, body: dict[str, object], texts: Sequence[str]) -> None:
    try:
        api.call(path, body)
    except ApiError as exc:
        if not _says(exc, texts):
            raise


def _says(error: KubeadmError, texts: Sequence[str]) -> bool:
    return any(text in error.found.lower() for text in texts)


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decimal(member: str) -> str:
    return str(int(member, 16))
