# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Kubernetes API that has one Lease, compares resource versions, and has a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError, UnreachableError

Object = dict[str, Any]


class FakeLease:
    """`meanwhile` runs once, between the next read and the write that follows it. `away`: nothing answers."""

    def __init__(self) -> None:
        self.lease: Object | None = None
        self.time = datetime(2026, 1, 1, tzinfo=timezone.utc)
        self.version = 0
        self.requests = 0
        self.away = False
        self.meanwhile: Callable[[], Any] | None = None

    def pass_seconds(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def now(self) -> datetime:
        return self.time

    def find(self, path: str) -> Object | None:
        self._ask()
        found, then, self.meanwhile = self.lease, self.meanwhile, None
        if then:
            then()
        return found

    def create(self, path: str, body: Object) -> Object:
        self._ask()
        if self.lease is not None:
            raise ApiError("it is there", status=409)
        return self._store({**body, "metadata": dict(body["metadata"])})

    def patch(self, path: str, body: Object) -> Object:
        self._ask()
        assert self.lease is not None
        if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise ApiError("it was changed", status=409)
        merged = {key: _merged(self.lease[key], body[key]) for key in ("metadata", "spec")}
        return self._store({**self.lease, **merged})

    def _ask(self) -> None:
        self.requests += 1
        if self.away:
            raise UnreachableError("No API endpoint answered")

    def _store(self, lease: Object) -> Object:
        self.version += 1
        lease["metadata"]["resourceVersion"] = str(self.version)
        self.lease = lease
        return lease


def _merged(there: Object, change: Object) -> Object:
    return {key: value for key, value in {**there, **change}.items() if value is not None}
