# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that speaks against a removal or a replacement, with the numbers. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .findings import Finding, fatal, warning
from .membership import Plan, arithmetic
from .pki import same_ca
from .preflight_inputs import CONTROL_PLANE, ETCD, GROUP_NAMES, LB, WORKER
from .quorum import quorum, tolerance
from .removal_case import Case, joins_first, membership, reader_of, staying_hosts
from .removal_state import ALIVE, CONFUSED, DEAD, GONE, UNCLEAR, Host, Machine

AGAIN = "then run the same again"


def _names(case: Case) -> Iterator[Finding]:
    for machine in case.machines:
        host = case.host(machine.name)
        if machine.state == GONE and machine.name not in case.world.hosts:
            found = f'no host of the inventory, no node and no etcd member is named exactly "{machine.name}"'
            yield fatal(machine.name, "name", found, "correct the name; names are not patterns")
        elif machine.state == GONE and not case.replacement:
            found = "the cluster has neither a node nor an etcd member of this name"
            yield warning(machine.name, "name", found, "nothing: only the load balancers are looked after")
        elif machine.state == UNCLEAR:
            yield fatal(machine.name, "unclear", machine.why, f"{_way_out(host)}; {AGAIN}")


def _way_out(host: Host) -> str:
    if host.facts is not None:
        return "correct its address in the inventory, or power off the machine that still serves under its name"
    if not host.away:
        return "mend what is named (Python 3.9 or newer and root by become are needed)"
    lost = "a machine that was lost just now is known to be about a minute later"
    return f"{CONFUSED}; {lost}" if host.why != Host("").why else f"put it into the inventory, or {CONFUSED}"


def _foreign(case: Case) -> Iterator[Finding]:
    """What another cluster has on the machine is not ours to clean away."""
    for machine in case.machines:
        facts = case.host(machine.name).facts
        if machine.state != ALIVE or facts is None or not case.ca_pem:
            continue
        found = {"/etc/kubernetes/pki/ca.crt": facts.kubernetes.ca_pem, "kubelet.conf": facts.kubernetes.kubelet_ca_pem}
        wrong = [path for path, pem in found.items() if pem and not same_ca(pem, case.ca_pem)]
        if wrong:
            text = f"the CA in {' and '.join(wrong)} is not this cluster's"
            yield fatal(
                machine.name, "foreign-ca", text, "find out which cluster it belongs to; it is not touched here"
            )


def _api_via(case: Case) -> Iterator[Finding]:
    if case.api_via in case.names:
        found = f"kube_api_via is {case.api_via}, which goes: the API could not be asked any more"
        yield fatal(case.api_via, "input", found, "set kube_api_via to localhost or to another control plane")


def _planes(case: Case) -> Iterator[Finding]:
    going = case.having(CONTROL_PLANE)
    left = [name for name in case.staying(CONTROL_PLANE) if name in case.world.live]
    left += [case.replacement] if joins_first(case) else []
    if not going:
        return
    names = ", ".join(machine.name for machine in going)
    if not left:
        found = f"{names}: no other control plane answers, and without one there is no cluster"
        yield fatal("", "control-planes", found, "add a control plane first; a whole cluster is ended by reset")
    elif len(left) == 1 and not case.replacement:
        found = f"after {names} only {left[0]} is left as a control plane: its loss is the loss of the API"
        yield warning("", "control-planes", found, "add control planes up to three: playbooks/add_nodes.yml")


def _balancers(case: Case) -> Iterator[Finding]:
    world, staying = case.world, case.staying(LB)
    silent = [name for name in staying if name not in world.balancers]
    going = case.having(LB)
    # One that serves nobody any more may be replaced even where there is no other.
    covered = joins_first(case) or (bool(case.replacement) and bool(going) and going[0].state != ALIVE)
    if going and len(silent) == len(staying) and not covered:
        names = ", ".join(machine.name for machine in going)
        found = f"{names}: {len(staying)} other load balancers are known, and HAProxy answers on none of them"
        yield fatal("", "load-balancers", found, f"add or mend another one first, {AGAIN}")
    if going or case.having(CONTROL_PLANE):
        if staying and case.staying(CONTROL_PLANE) and not case.ca_pem and not case.replacement:
            found = "the load balancers need the cluster's CA, and no control plane that stays was seen to have it"
            yield fatal("", "load-balancers", found, f"make a control plane that stays reachable, {AGAIN}")
        for name in silent:
            found = "its HAProxy does not answer, so its configuration stays as it is"
            yield warning(name, "load-balancers", found, "mend it, then run site: it writes what is missing")


def _etcd(case: Case) -> Iterator[Finding]:
    concerned = [machine for machine in case.machines if {CONTROL_PLANE, ETCD} & machine.roles]
    if not concerned:
        return
    look, have = case.world.look, case.world.etcd
    if look is None or not reader_of(case):
        step = f"start etcd, {AGAIN}; when its quorum is lost: playbooks/recover_quorum.yml"
        yield fatal("", "etcd", "etcd answers on no machine that stays", step)
        return
    if not look.linearizable:
        found = f"the quorum of etcd is lost ({arithmetic(have)}): no member can be removed"
        yield fatal("", "quorum", found, "bring members back, or playbooks/recover_quorum.yml")
        return
    plan = membership(case)
    if not plan.allowed:
        yield fatal("", "quorum", f"{'; '.join(plan.reasons)} ({arithmetic(have)})", _confirmation(plan))
    else:
        yield from _even(case, plan)
        for text in (one for one in plan.aloud if not one.endswith("is healthy")):
            yield warning("", "quorum", f"{text} ({arithmetic(have)} now)", _aloud(case))


def _confirmation(plan: Plan) -> str:
    if any("confirm_no_tolerance" in reason for reason in plan.reasons):
        return (
            "replace it instead (replace_node), add a member first, or accept it: -e remove_confirm_no_tolerance=true"
        )
    return f"mend what is named, {AGAIN}"


def _aloud(case: Case) -> str:
    if case.replacement:
        return f"nothing: {case.replacement} takes its place in the same run"
    return "add a member soon: playbooks/add_nodes.yml"


def _even(case: Case, plan: Plan) -> Iterator[Finding]:
    """An even number endures no more failures than the next smaller one. A dead member is better gone all the same."""
    after, before = len(plan.after.voters), len(plan.have.voters)
    healthy = any(machine.member and machine.member.healthy for machine in case.machines)
    accepted = case.confirm_even or case.confirm_no_tolerance or bool(case.replacement)
    if after % 2 or after == before or not healthy:
        return
    found = (
        f"{before} -> {after} voters: {after} (quorum {quorum(after)}) endure the failure of {tolerance(after)}, as "
        f"many as {after - 1} do"
    )
    if accepted:
        yield warning("", "even", found, "nothing: it was accepted")
    else:
        step = f"name a second one with it ({before} -> {after - 1}), or accept it: -e remove_confirm_even=true"
        yield fatal("", "even", found, step)


def _workers(case: Case) -> Iterator[Finding]:
    going = case.having(WORKER)
    if going and not case.replacement and not [name for name in case.world.nodes if _serves(case, name)]:
        found = "no worker is left that serves: the pods that leave have nowhere to go"
        yield warning("", "workers", found, "add a worker first: playbooks/add_nodes.yml")


def _serves(case: Case, name: str) -> bool:
    node = case.world.nodes[name]
    return name not in case.names and node.role == WORKER and node.served and not node.unschedulable


def _silent(case: Case) -> Iterator[Finding]:
    if not staying_hosts(case) and not joins_first(case):
        step = f"make a control plane that stays reachable, {AGAIN}"
        yield fatal("", "unreachable", "no machine that stays can be logged in to", step)
    for name, host in sorted(case.world.hosts.items()):
        if name not in (*case.names, case.replacement) and host.facts is None:
            found = f"it was not looked at: {host.why}"
            yield warning(name, "unreachable", found, "nothing for this run; make it reachable, or remove it too")


def _replacement(case: Case) -> Iterator[Finding]:
    if not case.replacement:
        return
    if len(case.machines) != 1:
        yield fatal("", "input", f"{len(case.machines)} machines are named", "replace one after another")
        return
    (machine,), name = case.machines, case.replacement
    host = case.host(name)
    if name not in case.world.hosts:
        yield fatal(name, "input", "the replacement is not in the inventory", "put it into the groups of the old one")
    elif host.facts is None and case.same_name:
        if machine.state in (DEAD, GONE):
            step = f"start a blank machine under that name and address, or name another: -e replacement=NAME; {AGAIN}"
            yield fatal(name, "unreachable", f"no machine answers there that could take its place: {host.why}", step)
    elif host.facts is None:
        step = f"make it reachable, {AGAIN}"
        yield fatal(name, "unreachable", f"the replacement does not answer: {host.why}", step)
    yield from _same_groups(case, machine, host)


def _same_groups(case: Case, machine: Machine, host: Host) -> Iterator[Finding]:
    wanted = set(machine.roles) if not machine.apart else {ETCD}
    # A control plane's own etcd comes with it, whatever the inventory calls it.
    lacking = sorted(role for role in wanted - host.roles if role != ETCD or machine.apart)
    if lacking and not case.same_name and host.name in case.world.hosts:
        groups = " and ".join(GROUP_NAMES[role] for role in lacking)
        found = f"{machine.name} is in {groups}, its replacement is not"
        yield fatal(host.name, "input", found, f"put {host.name} into {groups}")


CHECKS: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    _names,
    _replacement,
    _foreign,
    _api_via,
    _planes,
    _balancers,
    _etcd,
    _workers,
    _silent,
)


def check(case: Case) -> list[Finding]:
    """All findings."""
    return [finding for ask in CHECKS for finding in ask(case)]
