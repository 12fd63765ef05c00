# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane's static pods brought from one set of manifests to another, with a way back.

kubeadm's own upgrade replaces a manifest while the old pod runs; the kubelet then looks for its end only every ten to
fifteen seconds, one component after another. Here what changes is taken out, proven to have ended, and only then
replaced, all together: the kubelet starts at once what has no predecessor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .errors import CommandError

ETCD, API = "etcd", "kube-apiserver"
# In the order in which they start; they stop the other way round, so that etcd outlives its client.
COMPONENTS = (ETCD, API, "kube-controller-manager", "kube-scheduler")
PAUSE = 0.2


class Pods(Protocol):
    """The host as this file needs it."""

    def manifests(self) -> dict[str, str]:
        """Component to the text of its manifest, of those that the kubelet runs."""

    def kept(self) -> dict[str, str]:
        """Component to the manifest that worked before; what an interrupted run left, too."""

    def keep(self, component: str) -> None:
        """Take the component's manifest away from the kubelet and keep it."""

    def remove(self, component: str) -> None:
        """Take the component's manifest away from the kubelet; what is kept stays as it is."""

    def place(self, component: str, text: str) -> None:
        """Give the kubelet a manifest, whole at once."""

    def forget(self) -> None:
        """Delete what was kept."""

    def runs(self, component: str) -> bool:
        """Whether a process of the component runs."""

    def answers(self, component: str, manifest: str) -> str:
        """Empty when the component is healthy at the address that its manifest names, else what was found."""

    def why(self, component: str) -> str:
        """The last lines of the component's and the kubelet's logs."""


@dataclass(frozen=True)
class PodsPlan:
    """stops: components whose manifest differs, in the order in which they end. starts: those that are placed.

    A component that an interrupted run had taken out already starts, but need not stop.
    """

    stops: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    want: Mapping[str, str] = field(default_factory=dict)

    def steps(self) -> list[str]:
        """In words."""
        return [f"stop {name}" for name in self.stops] + [f"start {name} from its new manifest" for name in self.starts]

    @property
    def touches_etcd(self) -> bool:
        """Whether the etcd member ends for a moment."""
        return ETCD in self.starts


def make_plan(have: Mapping[str, str], want: Mapping[str, str], restart: Sequence[str] = ()) -> PodsPlan:
    """What differs. restart: components that have to start again although their manifests are the same."""
    starts = tuple(name for name in COMPONENTS if name in want and (have.get(name) != want[name] or name in restart))
    return PodsPlan(tuple(name for name in reversed(starts) if name in have), starts, want)


@dataclass
class Change:
    """Carries a plan out. Every wait is bounded; what takes the host's own time is noted in `seconds`, by step."""

    pods: Pods
    timeout: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, plan: PodsPlan, between: Callable[[], None] = lambda: None) -> None:
        """Stop, do what is to be done between, start, wait until all are healthy; go back when they do not come."""
        began = self.clock()
        # Also those that an interrupted run took out: their processes may still be ending.
        self._stop(plan, [name for name in reversed(plan.starts) if name != ETCD])
        self._stop(plan, [name for name in plan.starts if name == ETCD])
        self.seconds["stop"] = round(self.clock() - began, 1)
        try:
            if plan.starts:
                between()
            began = self.clock()
            self._start(plan.starts, plan.want)
        except CommandError as exc:
            self._go_back(exc)
        self.seconds["start"] = round(self.clock() - began, 1)
        self.pods.forget()

    def _start(self, names: Sequence[str], want: Mapping[str, str]) -> None:
        """Place the manifests, in this order, and wait until all that is wanted answers."""
        for name in names:
            self.pods.place(name, want[name])
            if name == ETCD:
                # An API server that starts without its etcd waits 20 s for it, ends, and is started again.
                self.settle({name: want[name]})
        self.settle(want)

    def settle(self, want: Mapping[str, str]) -> None:
        """Until every component answers. Raises CommandError with the logs of those that do not."""
        deadline = self.clock() + self.timeout
        while True:
            silent = {name: found for name, text in want.items() if (found := self.pods.answers(name, text))}
            if not silent:
                return
            if self.clock() >= deadline:
                raise CommandError(
                    f"{', '.join(silent)} did not become healthy within {self.timeout:.0f} s",
                    where="/etc/kubernetes/manifests",
                    found="\n".join(f"{name}: {found}\n{self.pods.why(name)}" for name, found in silent.items()),
                    next_step="mend what the log names and run the same playbook again",
                )
            self.sleep(PAUSE)

    def _stop(self, plan: PodsPlan, names: Sequence[str]) -> None:
        for name in names:
            if name in plan.stops:
                self.pods.keep(name)
        self.wait_for_end(names)

    def wait_for_end(self, names: Sequence[str]) -> None:
        """Until no process of these components is left."""
        deadline = self.clock() + self.timeout
        while running := [name for name in names if self.pods.runs(name)]:
            if self.clock() >= deadline:
                raise CommandError(
                    f"the kubelet did not end {', '.join(running)} within {self.timeout:.0f} s",
                    where="/etc/kubernetes/manifests",
                    found=self.pods.why(running[0]),
                    next_step="look at the kubelet: journalctl -u kubelet; then run the same playbook again",
                )
            self.sleep(PAUSE)

    def _go_back(self, failure: CommandError) -> None:
        """The manifests that worked before, once more. Always raises: what was wanted did not happen."""
        old = self.pods.kept()
        # A component that had ended before an earlier run was interrupted is among them.
        names = [name for name in reversed(COMPONENTS) if name in old]
        for name in names:
            self.pods.remove(name)
        try:
            self.wait_for_end(names)
            self._start(names[::-1], old)
        except CommandError as exc:
            raise CommandError(
                "the control plane neither came up as wanted nor went back to what it was",
                where=failure.where,
                found=f"{failure.found}\n--- going back\n{exc.found}",
                next_step="the other control planes are untouched and serve. Mend what the logs name (an image that is "
                "missing: kube_bundle's images; a full disk), then run the same playbook again for this host, or "
                "replace it: ansible-playbook playbooks/replace_node.yml -e node=<this host>",
            ) from failure
        self.pods.forget()
        raise CommandError(
            f"{failure.what}; the control plane runs as before again",
            where=failure.where,
            found=failure.found,
            next_step=failure.next_step,
        ) from failure
