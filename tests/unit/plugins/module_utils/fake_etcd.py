# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An etcd in memory behind its JSON gateway, with a clock of its own; it can be stopped dead before any call."""

from __future__ import annotations

import base64
import itertools
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_api import EtcdApi
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_health import observe
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_world import Settings, World


class Killed(BaseException):
    """The process that asks is gone: nothing in it runs on."""


def client(number: int) -> str:
    return f"https://192.0.2.{number}:2379"


def peer(number: int) -> str:
    return f"https://192.0.2.{number}:2380"


@dataclass
class Fake:
    """Members e1 to en; e1 leads."""

    voters: int = 3
    index: int = 1000
    now: float = 0
    members: dict[int, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    leases: dict[int, tuple[int, float]] = field(default_factory=dict)
    # Number and second of each member that was added: what real etcd makes its ID of.
    added: dict[int, tuple[int, int]] = field(default_factory=dict)
    removed: set[tuple[int, int]] = field(default_factory=set)
    refuse: dict[str, list[str]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    kill_before: int = -1
    count: int = 0
    # path -> called after the change was made: its answer may get lost.
    after: dict[str, Callable[[], None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ids = itertools.count(0x100)
        self._lock = threading.RLock()
        for number in range(1, self.voters + 1):
            self.members[next(self._ids)] = {
                "number": number,
                "name": f"e{number}",
                "up": True,
                "learner": False,
                "lag": 0,
            }
        self.leader = next(iter(self.members))

    def tick(self) -> None:
        """One more call to the outside; the fatal one is not made."""
        with self._lock:
            self.count += 1
            if 0 <= self.kill_before < self.count:
                raise Killed

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for lease, (_granted, end) in list(self.leases.items()):
            if end <= self.now:
                self._end(lease)

    def by_number(self, number: int) -> dict[str, Any] | None:
        return next((m for m in self.members.values() if m["number"] == number), None)

    def voting(self) -> set[str]:
        return {m["name"] for m in self.members.values() if not m["learner"]}

    def world(self, unit: Any = None, host: str = "here", **more: float) -> World:
        connect = lambda url: EtcdApi(url, self)  # noqa: E731 - as short as the one of the modules
        endpoints = [client(n) for n in range(1, 10)]
        settings = Settings(**{"wait": 60, "sample": 5, "orphan": 120, **more})
        return World(
            look=lambda: observe(endpoints, connect),
            connect=connect,
            dial=lambda url: any(peer(m["number"]) == url and m["up"] for m in self.members.values()),
            settings=settings,
            unit=unit,
            host=host,
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    def __call__(self, url: str, body: bytes, _timeout: float) -> tuple[int, bytes]:
        self.tick()
        base, _v3, path = url.partition("/v3/")
        with self._lock:
            own = next((i for i, m in self.members.items() if client(m["number"]) == base and m["up"]), None)
            if own is None:
                raise OSError("connection refused")
            voters = [m for m in self.members.values() if not m["learner"]]
            if sum(m["up"] for m in voters) <= len(voters) // 2:
                raise OSError("timed out")
            said = self.refuse.get(path)
            if said:
                return 400, json.dumps({"message": said.pop(0)}).encode()
            answer = getattr(self, "_" + path.replace("/", "_").replace("-", "_"))(own, json.loads(body))
            if not path.startswith(("kv/range", "maintenance/status", "maintenance/alarm", "cluster/member/list")):
                self.calls.append(path)
        if path in self.after:
            self.after.pop(path)()
        if isinstance(answer, str):
            return 400, json.dumps({"message": answer}).encode()
        return 200, json.dumps(answer).encode()

    def _cluster_member_list(self, _own: int, _body: dict[str, Any]) -> dict[str, Any]:
        listed = [
            {
                "ID": str(i),
                "name": m["name"],
                "peerURLs": [peer(m["number"])],
                "clientURLs": [client(m["number"])] if m["name"] else [],
                "isLearner": m["learner"],
            }
            for i, m in self.members.items()
        ]
        return {"header": {"cluster_id": "7"}, "members": listed}

    def _cluster_member_add(self, _own: int, body: dict[str, Any]) -> dict[str, Any] | str:
        number = int(body["peerURLs"][0].rpartition(":")[0].rpartition(".")[2])
        if self.by_number(number):
            return "etcdserver: Peer URLs already exists"
        made_of = (number, int(self.now))
        if made_of in self.removed:
            return "etcdserver: member not found"
        identity = next(self._ids)
        self.added[identity] = made_of
        self.members[identity] = {"number": number, "name": "", "up": False, "learner": True, "lag": 0}
        return {}

    def _cluster_member_remove(self, _own: int, body: dict[str, Any]) -> dict[str, Any] | str:
        identity = int(body["ID"])
        if identity in self.added:
            self.removed.add(self.added[identity])
        return {} if self.members.pop(identity, None) else "etcdserver: member not found"

    def _cluster_member_promote(self, _own: int, body: dict[str, Any]) -> dict[str, Any] | str:
        member = self.members[int(body["ID"])]
        if not member["learner"]:
            return "etcdserver: can only promote a learner member"
        member["learner"] = False
        return {}

    def _maintenance_transfer_leadership(self, own: int, body: dict[str, Any]) -> dict[str, Any] | str:
        if own != self.leader:
            return "etcdserver: not leader"
        self.leader = int(body["targetID"])
        return {}

    def _maintenance_status(self, own: int, _body: dict[str, Any]) -> dict[str, Any]:
        applied = self.index - self.members[own]["lag"]
        return {"header": {"member_id": str(own), "cluster_id": "7"}, "version": "3.6.16", "leader": str(self.leader),
                "raftTerm": "2", "raftIndex": str(self.index), "raftAppliedIndex": str(applied)}  # fmt: skip

    def _maintenance_alarm(self, _own: int, _body: dict[str, Any]) -> dict[str, Any]:
        return {}

    def _kv_range(self, _own: int, body: dict[str, Any]) -> dict[str, Any]:
        prefix = _text(body["key"])
        found = {key: value for key, value in self.keys.items() if "range_end" in body and key.startswith(prefix)}
        rows = [
            {"key": _coded(key), "value": _coded(text), "lease": str(lease), "mod_revision": str(revision)}
            for key, (text, lease, revision) in found.items()
        ]
        return {"kvs": rows} if rows else {}

    def _kv_put(self, _own: int, body: dict[str, Any]) -> dict[str, Any]:
        self.index += 1
        self.keys[_text(body["key"])] = (_text(body["value"]), int(body["lease"]), self.index)
        return {}

    def _kv_txn(self, own: int, body: dict[str, Any]) -> dict[str, Any]:
        for condition in body.get("compare", []):
            if self.keys.get(_text(condition["key"]), ("", 0, 0))[2] != int(condition["modRevision"]):
                return {}
        for operation in body["success"]:
            if "requestPut" in operation:
                self._kv_put(own, operation["requestPut"])
            else:
                self.keys.pop(_text(operation["requestDeleteRange"]["key"]), None)
        return {"succeeded": True}

    def _lease_grant(self, _own: int, body: dict[str, Any]) -> dict[str, Any]:
        lease = next(self._ids)
        self.leases[lease] = (int(body["TTL"]), self.now + int(body["TTL"]))
        return {"ID": str(lease)}

    def _lease_timetolive(self, _own: int, body: dict[str, Any]) -> dict[str, Any]:
        granted, end = self.leases.get(int(body["ID"]), (0, self.now - 1))
        return {"TTL": str(int(end - self.now)), "grantedTTL": str(granted)}

    def _lease_keepalive(self, _own: int, body: dict[str, Any]) -> dict[str, Any]:
        granted, _end = self.leases.get(int(body["ID"]), (0, 0))
        if granted:
            self.leases[int(body["ID"])] = (granted, self.now + granted)
        return {"result": {"ID": body["ID"], **({"TTL": str(granted)} if granted else {})}}

    def _lease_revoke(self, _own: int, body: dict[str, Any]) -> dict[str, Any] | str:
        return {} if self._end(int(body["ID"])) else "etcdserver: requested lease not found"

    def _end(self, lease: int) -> bool:
        self.keys = {key: value for key, value in self.keys.items() if value[1] != lease}
        return self.leases.pop(lease, None) is not None


@dataclass
class FakeUnit:
    """etcd's unit on the host of member `number`. What it keeps outlives the process that asks."""

    etcd: Fake
    number: int
    data: bool = False
    marker: bool = False
    broken: str = ""
    never: bool = False
    lag: int = 0
    said: list[str] = field(default_factory=list)

    def has_data(self) -> bool:
        return self.data

    def begun(self) -> bool:
        return self.marker

    def begin(self, initial_cluster: str) -> None:
        self.etcd.tick()
        self.marker = True
        self.said.append(initial_cluster)

    def start(self) -> None:
        self.etcd.tick()
        own = self.etcd.by_number(self.number)
        if own is not None and not self.broken and not self.never:
            own.update(name=f"e{self.number}", up=True, lag=self.lag)
            self.data = True

    def failure(self) -> str:
        return self.broken

    def finished(self) -> None:
        self.etcd.tick()
        self.marker = False

    def discard(self, _member: str) -> None:
        self.etcd.tick()
        self.data = self.marker = False


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _text(coded: str) -> str:
    return base64.b64decode(coded).decode()
