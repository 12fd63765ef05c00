"""A host with certificates in memory, for the tests of their renewal: time, files, processes, and what is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_places import (
    CA,
    KUBEADM,
    ON_ETCD,
    Place,
    key_of,
    places,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.renewal import (
    VALIDITY,
    Authority,
    Certificate,
    HostFacts,
    HostPlan,
    Kubelet,
    Wish,
    make_plan,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.renewal_run import KUBELET_CONF, Renewal

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=timezone.utc)
STACKED = ("control_plane", "etcd")
PODS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


class KilledError(Exception):
    """The controller, and what it had started, is gone."""


@dataclass
class World:
    """kill_at: the number of the change that happens no more, as all after it. broken: kubeadm fails for it."""

    roles: Sequence[str] = STACKED
    left: timedelta = timedelta(days=10)
    kubelet: Kubelet | None = None
    broken: str = ""
    silent: str = ""
    kill_at: int = 0
    changes: list[str] = field(default_factory=list)
    certificates: dict[str, Certificate] = field(default_factory=dict)
    authorities: dict[str, Authority] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    in_use: dict[int, str] = field(default_factory=dict)
    held: tuple[str, ...] = ()
    marker: str = ""
    folders: dict[str, dict[str, str]] = field(default_factory=dict)
    tick: float = 1000.0
    made: int = 0
    settled: bool = False

    def __post_init__(self) -> None:
        for place in places(self.roles):
            if place.kind == CA:
                self.authorities[place.name] = Authority(NOW + timedelta(days=3000), has_key=True)
            elif place.renewed_by in (KUBEADM, ON_ETCD):
                found = Certificate(place, NOW + self.left, 1.0, f"old-{place.name}")
                self.certificates[place.name] = found
                if place.port:
                    self.in_use[place.port] = found.serial
        if "control_plane" in self.roles:
            self.started = dict.fromkeys(PODS if "etcd" in self.roles else PODS[1:], 10.0)

    def _changes(self, what: str) -> None:
        if self.kill_at and len(self.changes) + 1 >= self.kill_at:
            raise KilledError
        self.changes.append(what)
        self.tick += 1.0

    def facts(self) -> HostFacts:
        return HostFacts(
            certificates=tuple(self.certificates.values()),
            authorities=self.authorities,
            started=self.started,
            held=self.held,
            marker=self.marker,
            kubelet=self.kubelet and replace(self.kubelet, moved=KUBELET_CONF in self.folders.get("/kept", {})),
            kept=tuple(sorted(self.folders)),
        )

    def plan(self, *, every: bool = False, within: int = 90) -> HostPlan:
        return make_plan(self.facts(), Wish(NOW, timedelta(days=within), every=every), self.roles)

    def run(self, stages: Sequence[str], *, every: bool = False) -> HostPlan:
        plan = self.plan(every=every)
        now = [0.0]

        def sleep(seconds: float) -> None:
            now[0] += seconds

        Renewal(self, 60.0, clock=lambda: now[0], sleep=sleep).run(plan, stages)
        return plan

    def _named(self, path: str) -> Certificate | None:
        return next(
            (one for one in self.certificates.values() if path in (one.place.path, key_of(one.place.path))), None
        )

    def keep(self, paths: Iterable[str]) -> str:
        self._changes("keep")
        folder = self.folders.setdefault("/kept", {})
        for path in paths:
            found = self._named(path)
            if found is not None:
                folder.setdefault(path, found.serial if found.whole else "half")
        return "/kept"

    def put_back(self, paths: Iterable[str]) -> None:
        self._changes("put back")
        for path in paths:
            found, serial = self._named(path), self.folders.get("/kept", {}).get(path)
            if found is not None and serial is not None:
                self.certificates[found.place.name] = replace(found, serial=serial, whole=True)

    def move_away(self, pattern: str) -> None:
        self._changes(f"move {pattern.rpartition('/')[2]}")
        self.folders.setdefault("/kept", {})[pattern] = "moved"
        kubelet = self.kubelet or Kubelet()
        conf = pattern == KUBELET_CONF
        self.kubelet = (
            replace(kubelet, conf=False, embedded=False) if conf else replace(kubelet, rotated=False, ends=None)
        )

    def kept(self) -> list[str]:
        return sorted(self.folders)

    def forget(self) -> None:
        if self.folders:
            self._changes("forget")
        self.folders = {}

    def kubeadm(self, words: Sequence[str]) -> tuple[int, str]:
        name = words[-1]
        if words[:2] != ("certs", "renew"):
            self._changes(" ".join(words[2:]))
            fresh = Kubelet(conf=True, embedded=name == "kubelet", rotated=name != "kubelet", ends=NOW + VALIDITY)
            self.kubelet = fresh
            return 0, ""
        found = self.certificates[name]
        # The key is there before the certificate is.
        self._changes(f"write half of {name}")
        self.certificates[name] = replace(found, whole=False, written=self.tick)
        if name == self.broken:
            return 1, "no space left on device"
        self._changes(f"renew {name}")
        self.made += 1
        self.certificates[name] = Certificate(found.place, NOW + VALIDITY, self.tick, f"new-{self.made}-{name}")
        return 0, ""

    def grant(self, place: Place) -> None:
        pass

    def restart(self, names: Sequence[str]) -> None:
        self._changes(f"stop {' '.join(names)}")
        self.marker, self.held = "renew", tuple(names)
        self._changes(f"start {' '.join(names)}")
        for name in names:
            self.started[name] = self.tick
            for one in self.certificates.values():
                if one.place.port and name in one.place.restarts and one.place.name != self.silent:
                    self.in_use[one.place.port] = one.serial
        self.held = ()
        self._changes("settled")
        self.marker = ""

    def settle(self) -> None:
        self.settled = True

    def restart_kubelet(self) -> None:
        self._changes("restart kubelet")
        if self.kubelet is not None:
            self.kubelet = replace(self.kubelet, rotated=True, ends=NOW + VALIDITY)

    def stop_kubelet(self) -> None:
        self._changes("stop kubelet")

    def served(self, port: int) -> str:
        return self.in_use.get(port, "")

    def rotated_until(self) -> datetime | None:
        return self.kubelet.ends if self.kubelet and self.kubelet.rotated else None

    def now(self) -> datetime:
        return NOW

    def mark_join(self) -> None:
        self._changes("mark join")
        self.marker = "join"
