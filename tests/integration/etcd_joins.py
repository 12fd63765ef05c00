# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Joins against a real etcd without systemd: the unit is a process of ours. Run as a program it is a join to be killed.

As a program it reads one JSON object from its standard input and joins with a unit that never comes up.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_health import observe
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_member_run import OPTIONS, asked, run, settings
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_options import connector
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_unit import dial
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_world import World
from tests.integration.etcd_cluster import EtcdCluster

QUICK = {"sample_seconds": 0.5, "orphan_seconds": 3, "wait_seconds": 30.0, "timeout": 2.0}


@dataclass
class Process:
    """A member's unit: starting it starts a real etcd, after a while or never."""

    cluster: EtcdCluster
    name: str
    delay: float = 0
    broken: str = ""
    marker: bool = False
    initial: str = ""
    calls: list[str] = field(default_factory=list)
    started: float | None = None

    def has_data(self) -> bool:
        return (self.cluster.directory / self.name / "member").exists()

    def begun(self) -> bool:
        return self.marker

    def begin(self, initial_cluster: str) -> None:
        self.marker, self.initial = True, initial_cluster
        self.calls.append("begin")

    def start(self) -> None:
        self.calls.append("start")
        self.started = time.monotonic()

    def failure(self) -> str:
        waited = self.started is not None and time.monotonic() - self.started >= self.delay
        server = self.cluster.members[self.name].server
        if waited and not self.broken and (server is None or server.process.poll() is not None):
            self.cluster.start(self.name, initial=self.initial)
        return self.broken

    def finished(self) -> None:
        self.marker = False
        self.calls.append("finished")

    def discard(self, member: str) -> None:
        server = self.cluster.members[self.name].server
        if server is not None:
            server.stop()
        shutil.rmtree(self.cluster.directory / self.name, ignore_errors=True)
        self.marker = False
        self.calls.append(f"discard {member}")


def parameters(**given: Any) -> dict[str, Any]:
    """A module's parameters with their defaults."""
    return {**{name: option.get("default") for name, option in OPTIONS.items()}, **QUICK, **given}


def world(params: dict[str, Any], unit: Any = None, host: str = "here") -> World:
    """What the module makes of its parameters, but for the unit."""
    look = connector(params)
    return World(
        look=lambda: observe(params["endpoints"], look),
        connect=connector(dict(params, timeout=10.0)),
        dial=dial,
        settings=settings(params),
        unit=unit,
        host=host,
    )


def change(
    cluster: EtcdCluster, state: str, unit: Process | None = None, effects: bool = True, **args: Any
) -> dict[str, Any]:
    """What etcd_member does, in this process."""
    name = str(args.get("name", ""))
    params = parameters(endpoints=cluster.others(name), state=state, **cluster.files(), **args)
    if name in cluster.members and state != "absent":
        params["peer_urls"] = [cluster.members[name].peer_url]
    return run(world(params, unit), asked(params), effects).result()


class Never:
    """A unit that never comes up."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        answers: dict[str, Any] = {"has_data": False, "begun": False, "failure": ""}
        return lambda *_args: answers.get(name)


if __name__ == "__main__":
    given = parameters(**json.loads(sys.stdin.readline()))
    run(world(given, Never(), given.get("host", "elsewhere")), asked(given), effects=True)
