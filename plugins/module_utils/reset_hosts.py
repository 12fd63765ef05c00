# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts a reset was asked for, and how it went on each. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import InputError, RefusedError
from .report import host_list, natural, table

EVERY = "all"


@dataclass(frozen=True)
class Chosen:
    """hosts: in natural order. whole: every host of the cluster is among them."""

    hosts: tuple[str, ...]
    whole: bool


def choose(wanted: str, confirm: str, cluster: str, hosts: Sequence[str], balancers: Sequence[str]) -> Chosen:
    """Only what was named, exactly; and only when the cluster was named as well.

    wanted: names with commas between them, or `all`. hosts: everything that the inventory has of the cluster.
    """
    known = sorted(set(hosts), key=natural)
    there = host_list(known)
    names = [name for name in (part.strip() for part in wanted.split(",")) if name]
    if not names:
        raise InputError(
            "no host was named", where="reset_hosts", found="nothing", next_step=f"name one or more of {there}, or all"
        )
    if EVERY in names and len(names) > 1:
        raise InputError(
            "reset_hosts has all and names beside it", found=wanted[:200], next_step="give one or the other"
        )
    unknown = [name for name in names if name not in known and name != EVERY]
    if unknown:
        raise InputError(
            f"the inventory has no {', '.join(name[:80] for name in unknown)}",
            where="reset_hosts",
            found=f"the hosts of this cluster are {', '.join(known)}",
            next_step="spell the name as the inventory does",
        )
    if confirm != cluster:
        raise RefusedError(
            "a reset has to be confirmed with the cluster's name; nothing was changed",
            where="reset_confirm",
            found=repr(confirm[:80]) if confirm else "nothing",
            next_step=f"add -e reset_confirm={cluster} when it is the hosts of this cluster that shall be blank",
        )
    chosen = known if names == [EVERY] else sorted(set(names), key=natural)
    whole = set(chosen) == set(known)
    if not whole and balancers and set(balancers) <= set(chosen):
        raise RefusedError(
            "no load balancer would be left in front of the API servers; nothing was changed",
            where=host_list(balancers),
            found=f"{host_list(set(known) - set(chosen))} would stay",
            next_step="name all hosts, or replace the load balancers one after another with replace_node",
        )
    return Chosen(tuple(chosen), whole)


@dataclass(frozen=True)
class Outcome:
    """How it went on a host. state: blank, reset, planned, leftovers, failed or unreachable."""

    host: str
    state: str
    found: str
    notes: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether the host is blank, or, in check mode, would be."""
        return self.state in ("blank", "reset", "planned")


def outcome(host: str, result: Mapping[str, Any], *, planned: bool) -> Outcome:
    """From the result of node_reset. planned: it only looked."""
    steps, leftovers = list(result.get("steps") or ()), list(result.get("leftovers") or ())
    kept = [f"{path} has data of etcd" for path in result.get("etcd_data") or ()]
    notes = (*(result.get("left_alone") or ()), *kept)
    if leftovers:
        return Outcome(host, "leftovers", "; ".join(leftovers), notes)
    if result.get("unreachable"):
        return Outcome(host, "unreachable", str(result.get("msg") or "it does not answer"))
    if result.get("failed") or "steps" not in result:
        return Outcome(host, "failed", str(result.get("msg") or "the task did not run there"))
    if not steps:
        return Outcome(host, "blank", "nothing of the cluster is on it", notes)
    return Outcome(host, "planned" if planned else "reset", f"{len(steps)} steps", notes)


def report(outcomes: Sequence[Outcome], steps: Mapping[str, Sequence[str]], width: int) -> str:
    """One table for all hosts, what went wrong last: there the eye is. steps: what would be done, by host."""
    ordered = sorted(outcomes, key=lambda item: (not item.is_good, natural(item.host)))
    rows = [[item.state.upper() if not item.is_good else item.state, item.host, item.found, "; ".join(item.notes)]
            for item in ordered]  # fmt: skip
    plans = [line for host, told in steps.items() if told for line in (f"{host}:", *(f"  - {step}" for step in told))]
    return "\n".join(
        [*plans, *table(["RESULT", "HOST", "FOUND", "LEFT ALONE, AND KEPT"], rows, width), verdict(outcomes)]
    )


def verdict(outcomes: Sequence[Outcome]) -> str:
    """One sentence."""
    bad = [item.host for item in outcomes if not item.is_good]
    if bad:
        return f"reset: {len(bad)} of {len(outcomes)} hosts are not blank: {host_list(bad)}"
    planned = any(item.state == "planned" for item in outcomes)
    what = "would be blank; nothing was changed" if planned else "blank; nothing has stayed"
    return f"reset: {len(outcomes)} of {len(outcomes)} hosts {what}"
