# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's renewal, carried out: what kubeadm makes is proven before the old files go. Every wait is bounded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

from .certificate_places import KUBEADM, Place, key_of
from .errors import CommandError, RefusedError
from .renewal import FILES, JOIN, KUBELET, PODS, PROOF, RENEW, Certificate, HostFacts, HostPlan

SERVED_SECONDS = 30.0
PAUSE = 0.5
KUBELET_CONF = "/etc/kubernetes/kubelet.conf"
KUBELET_PEMS = "/var/lib/kubelet/pki/kubelet-client-*.pem"
AGAIN = "mend what is named and run the same playbook again: it goes on with what is left"


class RenewalIo(Protocol):
    """The host as this file needs it."""

    def facts(self) -> HostFacts:
        """What there is now."""

    def keep(self, paths: Iterable[str]) -> str:
        """Copy these files into a directory that only root can enter; its path. What is there already stays."""

    def put_back(self, paths: Iterable[str]) -> None:
        """These files as they were before they were first changed, where they are kept together."""

    def move_away(self, pattern: str) -> None:
        """Keep what has a name like that, and remove it from its place."""

    def kept(self) -> list[str]:
        """The directories with kept files."""

    def forget(self) -> None:
        """Remove them."""

    def kubeadm(self, words: Sequence[str]) -> tuple[int, str]:
        """Run kubeadm with the configuration; exit code, what it printed without secrets."""

    def grant(self, place: Place) -> None:
        """Let etcd's group read a key that was made just now."""

    def restart(self, names: Sequence[str]) -> None:
        """Stop these static pods, start them again, and wait until they are healthy."""

    def settle(self) -> None:
        """Wait until every static pod of the host is healthy."""

    def restart_kubelet(self) -> None:
        """Restart its service."""

    def stop_kubelet(self) -> None:
        """Stop its service; its pods run on."""

    def served(self, port: int) -> str:
        """The serial number of the certificate that is served there; "" when none is."""

    def rotated_until(self) -> datetime | None:
        """Until when the kubelet's own certificate is valid, None without one."""

    def now(self) -> datetime:
        """By the host's clock."""

    def mark_join(self) -> None:
        """Leave the marker of a join that has begun."""


@dataclass
class Renewal:
    """Carries stages of a plan out."""

    io: RenewalIo
    timeout: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def run(self, plan: HostPlan, stages: Sequence[str]) -> None:
        """In their order. Raises before anything is stopped when a file could not be made."""
        if plan.refusals:
            raise RefusedError(
                "the certificates of this host are not renewed; nothing was changed",
                where="/etc/kubernetes",
                found="; ".join(plan.refusals),
                next_step="see docs/certificates.md",
            )
        if FILES in stages:
            for due in plan.renew:
                self._renew(due.place)
        # A kubelet that starts with an expired kubelet.conf ends at once, and then no static pod is started either.
        if plan.kubelet == RENEW and {FILES, KUBELET} & set(stages):
            self._new_kubelet_conf()
        if PODS in stages:
            self._pods(plan)
        if KUBELET in stages and plan.kubelet:
            self._kubelet(plan.kubelet)
        if PROOF in stages:
            self.prove()

    def _kubelet(self, what: str) -> None:
        if what == JOIN:
            self._leave_for_join()
        else:
            self._finalize()

    def _pods(self, plan: HostPlan) -> None:
        if plan.restarts or plan.interrupted:
            self.io.restart(plan.restarts)
        else:
            # A kubelet that could not start has left them away, and starts them now.
            self.io.settle()

    def _renew(self, place: Place) -> None:
        files = tuple(dict.fromkeys((place.path, key_of(place.path))))
        before = _of(self.io.facts(), place)
        if before and not before.whole:
            # A run that was killed between the two files: kubeadm begins with a certificate that can be read.
            self.io.put_back(files)
        kept = self.io.keep(files)
        words = ("certs", "renew", place.name)
        code, printed = self.io.kubeadm(words)
        after = _of(self.io.facts(), place)
        # kubeadm ends well, too, when it finds nothing to renew, or no key of the CA.
        if code or after is None or not after.whole or (before and after.serial == before.serial):
            self.io.put_back(files)
            raise CommandError(
                f"kubeadm did not renew {place.name}; its files are as they were",
                where=f"kubeadm {' '.join(words)} (exit {code}); copies are in {kept}",
                found=printed[-1000:],
                next_step=AGAIN,
            )
        self.io.grant(place)

    def _new_kubelet_conf(self) -> None:
        """With a certificate inside that the CA on this host signs: it needs no API."""
        self.io.move_away(KUBELET_CONF)
        self.io.move_away(KUBELET_PEMS)
        self._phase("init", "phase", "kubeconfig", "kubelet")
        self.io.restart_kubelet()

    def _finalize(self) -> None:
        """When the API is back, the kubelet gets one of its own and renews that by itself."""
        self.io.restart_kubelet()
        what, where = "the kubelet got no certificate of its own", "journalctl -u kubelet"
        self._until(self._rotated, what, where, self.timeout)
        self._phase("init", "phase", "kubelet-finalize", "enable-client-cert-rotation")

    def _leave_for_join(self) -> None:
        # First, so that whoever comes after a kill knows that the join goes on.
        self.io.mark_join()
        # kubeadm joins no node that is ready, as it is while the kubelet keeps an old connection.
        self.io.stop_kubelet()
        self.io.move_away(KUBELET_CONF)
        self.io.move_away(KUBELET_PEMS)

    def _rotated(self) -> str:
        ends = self.io.rotated_until()
        return "" if ends is not None and ends > self.io.now() else "none that is valid"

    def _phase(self, *words: str) -> None:
        code, printed = self.io.kubeadm(words)
        if code:
            raise CommandError(
                f"kubeadm ended with {code}", where=f"kubeadm {' '.join(words)}", found=printed[-1000:], next_step=AGAIN
            )

    def prove(self) -> None:
        """What is served is what the files have; only then the replaced files go."""
        for one in self.io.facts().certificates:
            if one.place.port and one.place.renewed_by == KUBEADM:
                self._until(
                    partial(self._differs, one),
                    f"{one.place.name} is not the certificate that is served",
                    f"port {one.place.port}; old files: {', '.join(self.io.kept()) or 'none'}",
                )
        kubelet = self.io.facts().kubelet
        if kubelet and kubelet.moved and (kubelet.embedded or not kubelet.conf):
            return  # what is kept tells the next stage, or the next run, that this goes on
        self.io.forget()

    def _differs(self, one: Certificate) -> str:
        served = self.io.served(one.place.port)
        if served == one.serial:
            return ""
        return f"served {served or 'nothing'}, in the file {one.serial}"

    def _until(self, ask: Callable[[], str], what: str, where: str, seconds: float = SERVED_SECONDS) -> None:
        deadline = self.clock() + seconds
        while found := ask():
            if self.clock() >= deadline:
                raise CommandError(what, where=where, found=found, next_step=AGAIN)
            self.sleep(PAUSE)


def _of(facts: HostFacts, place: Place) -> Certificate | None:
    return next((one for one in facts.certificates if one.place.name == place.name), None)
