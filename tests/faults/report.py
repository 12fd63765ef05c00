# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the campaigns found, from results/*.json to RESULTS.md; failures included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.report import about, table
from bench.store import load
from lab.debian import SUITES
from tests.faults import report_runs
from tests.faults.anywhere import PLANS
from tests.faults.ends import ill
from tests.faults.report_rows import Run, steps, verdict

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"


def interrupted(data: Run) -> list[str]:
    """`site` killed at many points."""
    rows = [
        [run["point"], f"{run['killed_after']:.0f} s", f"{run['again']:.0f} s", verdict(run["problem"], "verified")]
        for run in data["runs"]
    ]
    good = sum(not run["problem"] for run in data["runs"])
    return [
        "## `site` killed and run again",
        "",
        *about(data),
        "1 load balancer, 3 control planes, 1 worker, blank at the beginning of each row. `site` is killed with "
        "SIGKILL, with all of its processes on the controller; what it had started on a host goes on there. Then "
        "`site` runs again at once.",
        "",
        *table(["killed", "after", "second run", "result"], rows),
        f"{good} of {len(rows)} ended with a verified cluster.",
        "",
    ]


def colocated(data: Run) -> list[str]:
    """Load balancers on control planes."""
    return [
        "## Load balancers on the control planes",
        "",
        *about(data),
        "3 control planes with HAProxy and keepalived on port 8443, 1 worker, no other load balancer.",
        "",
        *steps(data),
    ]


def external(data: Run) -> list[str]:
    """etcd on machines of its own."""
    return [
        "## External etcd",
        "",
        *about(data),
        "2 load balancers, 3 control planes, 1 worker, 5 machines for etcd, of which the first 3 are in the inventory "
        "at the beginning. Each run ends with `verify`; what etcd and the API servers say themselves is compared. "
        "The times hold for a machine with other work beside.",
        "",
        *steps(data),
    ]


def sources(data: Run) -> list[str]:
    """Every source of software on one Debian."""
    rows = [
        [
            run["source"],
            f"{run['first']:.0f}",
            f"{run['second']:.0f}",
            *(f"{run['fetched'][name]:.0f}" if name in run["fetched"] else "-" for name in ("cp2", "w1")),
            verdict(run["problem"], "verified, then unchanged; nothing left the lab"),
        ]
        for run in data["runs"]
    ]
    return [
        f"## Where the software comes from: {data['runs'][0]['suite']}",
        "",
        *about(data),
        "1 load balancer, 3 control planes, 1 worker, blank at the beginning of each row, with no way out of the lab. "
        "The publishers' names lead to a stand-in with signed packages, archives and images made from the lab's own "
        "builds; the mirror has a login and a CA of its own. The bundle is made from the publishers by "
        "`playbooks/bundle.yml`, signed, and shared from host to host.",
        "",
        *table(["source", "first s", "second s", "MiB fetched by a control plane", "by a worker", "result"], rows),
    ]


def broken(data: Run) -> list[str]:
    """Sources that cannot be used."""
    rows = [[run["broken"], verdict(run["problem"], "told, no service touched")] for run in data["runs"]]
    return ["## Sources that are broken", "", *about(data), *table(["source", "result"], rows)]


def truth(data: Run) -> list[str]:
    """The gates' truth table on real etcd clusters."""
    rows = [
        [
            run["action"],
            run["voters"],
            run["lost"],
            run["ways"],
            "yes" if run["wanted"] else "no",
            f"{run['seconds']:.0f}",
            run["acknowledged"],
            f"{run['gap']:.1f}",
            verdict(run["problem"], run["done"] if run["wanted"] else f"{run['done']}: {run['said']}"),
        ]
        for run in data["runs"]
    ]
    good = sum(not run["problem"] for run in data["runs"])
    clusters = len({(run["cluster"]) for run in data["runs"]})
    return [
        "## etcd's gates on real clusters",
        "",
        *about(data),
        f"{clusters} clusters on the loopback interface, of which so many voters are killed (SIGKILL), frozen "
        "(SIGSTOP), cut off from their peers (nftables) or out of disk. A client writes 60 new keys a second to whom "
        "it reaches. Each step is asked of its gate; what is allowed is done, what is refused is also asked of the "
        "module that would do it. `gap` is the longest time without an acknowledged write; without a quorum there is "
        "none. In the end all members are mended, hold the same data by their hashes, and hold every write that was "
        f"acknowledged: {sum(run['checked'] for run in data['runs'])} of them, "
        f"{sum(run['missing'] for run in data['runs'])} lost.",
        "",
        *table(["step", "voters", "unhealthy", "how", "allowed", "s", "writes", "gap s", "result"], rows),
        f"{good} of {len(rows)} rows are as the table says.",
        "",
    ]


def flips(data: Run) -> list[str]:
    """Snapshots that are not what they were."""
    rows = [[run["kind"], run["tried"], run["refused"], verdict(run["problem"], "well")] for run in data["runs"]]
    size = data["runs"][0]["size"]
    return [
        "## Snapshots that are damaged",
        "",
        *about(data),
        f"A snapshot of {size:,} bytes of a real etcd, damaged in ways that a seed decides. Each file is judged by "
        "`etcd_snapshot` with `state: verified` and by `etcd_restore` with `state: examined`, which `recover_quorum` "
        "asks before it stops anything. Refused are those that both refuse; the file itself has to pass, before and "
        "after.",
        "",
        *table(["what was done to it", "files", "refused", "result"], rows),
    ]


def restore(data: Run) -> list[str]:
    """etcd goes back to a snapshot."""
    rows = []
    for run in data["runs"]:
        first = f"{run['first']:.0f}" if run["first"] else ""
        writes = [run["before"], run["given_up"]] if run["before"] else ["", ""]
        rows.append([run["name"], f"{run['seconds']:.0f}", first, *writes, verdict(run["problem"], "well")])
    times = {run["name"].partition(",")[0]: run["first"] for run in data["runs"] if run["first"]}
    bare, ours = times.get("the bare commands"), times.get("restore_etcd.yml")
    told = "To the first write the playbook took {:.2f} times as long as the bare commands."
    ratio = told.format(ours / bare) if bare and ours else ""
    return [
        "## etcd goes back to a snapshot",
        "",
        *about(data),
        "1 load balancer, 3 control planes, 2 workers, 100 MB in etcd. The prober writes ten times a second through "
        "the VIP on new connections and on a kept one. A snapshot is taken in the middle, writes go on, then etcd is "
        "restored on all members. `first write` is counted from the beginning of the command. Every write that was "
        "acknowledged before the snapshot has to be there, of those after it none that lacks one before it; all "
        "members have one hash, and the workload's pods are the same.",
        "",
        *table(["step", "s", "first write s", "acknowledged before", "given up", "result"], rows),
        *([ratio, ""] if ratio else []),
    ]


def rotated(data: Run) -> list[str]:
    """The key for Secrets at rest rotated."""
    rows = [
        [
            run["name"],
            f"{run['seconds']:.0f}",
            *([f"{run['gap']:.2f}", run["acknowledged"]] if run["acknowledged"] else ["", ""]),
            run["stored"],
            verdict(run["problem"], "well"),
        ]
        for run in data["runs"]
    ]
    return [
        "## The key for Secrets at rest, rotated",
        "",
        *about(data),
        "2 load balancers, 3 control planes, 1 worker. In the rotation that is undisturbed the API is read and written "
        "ten times a second through the VIP, each on new connections and on a kept one; `gap` is the longest time in "
        "which one of the four had no success. `in etcd` is how the values of all Secrets begin, read with etcd's own "
        "client after the step. After every kill each API server that runs reads all Secrets.",
        "",
        *table(["step", "s", "API gap s", "writes", "in etcd", "result"], rows),
    ]


def killed(data: Run) -> list[str]:
    """An upgrade that was killed again and again, under the prober."""
    return [
        "## An upgrade that is killed",
        "",
        *about(data),
        "As above. SIGKILL goes to Ansible's whole process group; what it had started on a host goes on there. The end "
        "is compared with that of the undisturbed upgrade: versions, manifests, HAProxy's backends, cordons, add-ons.",
        "",
        *cases(data),
    ]


def stopped(data: Run) -> list[str]:
    """An upgrade that stopped by itself and was killed in its later half, under the prober."""
    return [
        "## An upgrade that stops by itself, and is killed in its later half",
        "",
        *about(data),
        "As above. One upgrade: each row goes on from where the one before it ended.",
        "",
        *cases(data),
    ]


def cases(data: Run) -> list[str]:
    """What was seen from outside in each case."""
    rows = []
    for run in data["runs"]:
        seen = [f"{run['gap']:.2f}", f"{run['share']:.3%}", run["acknowledged"], f"{run['failed']} of {run['asked']}"]
        watched = seen if run["asked"] else ["", "", "", ""]
        rows.append([run["case"], f"{run['seconds']:.0f}", *watched, verdict(run["problem"], "well")])
    return table(["case", "s", "API gap s", "failed", "writes", "workload failed", "result"], rows)


def alone(data: Run) -> list[str]:
    """One upgrade under the prober, and the same cluster at rest."""
    return [
        "## An upgrade",
        "",
        *about(data),
        "2 load balancers, 3 control planes, 2 workers, from 1.35.4 to 1.36.3 with etcd 3.6.14 to 3.6.16. The API is "
        "read and written ten times a second through the VIP, each on new connections and on a kept one, and so is a "
        "Deployment of 2 replicas with a budget. `gap` is the longest time in which one of the four had no success. "
        "Seven machines share two processors, of which each may take one where LAB_CPUS does not say otherwise. "
        "Ansible works on two machines at a time, and verify starts one probe pod after another. The first row is what "
        "this machine makes of the figures when nothing happens to the cluster.",
        "",
        *cases(data),
    ]


def lost(data: Run) -> list[str]:
    """Machines that were lost under the prober, what their loss cost clients, and what the work on it cost them."""
    rows = []
    for run in data["runs"]:
        row = [run["case"], f"{run['seconds']:.0f}", f"{run['loss']:.2f}" if run["loss"] else "-", f"{run['gap']:.2f}"]
        row += [
            run["acknowledged"],
            f"{run['failed']} of {run['asked']}",
            verdict(run["problem"], run["told"] or "well"),
        ]
        rows.append(row)
    return table(["case", "s", "gap of the loss s", "gap then s", "writes", "workload failed", "result"], rows)


def losses(data: Run) -> list[str]:
    """Every kind of machine of a stacked cluster."""
    return [
        "## Machines that are lost, added and removed",
        "",
        *about(data),
        "2 load balancers, 3 control planes, 2 workers, seven machines that share two processors. The API is read and "
        "written ten times a second through the VIP, each on new connections and on a kept one, and so is a Deployment "
        "of 2 replicas. Power is cut; a minute later a blank machine is there, and one command is given, which ends "
        "with `verify`; `s` is its time. `gap of the loss` is the longest time without a success of one of the four "
        "from the loss to the command, `gap then` from the command to its end.",
        "",
        *lost(data),
    ]


def losses_external(data: Run) -> list[str]:
    """Machines of an external etcd."""
    return [
        "## Machines of an external etcd that are lost",
        "",
        *about(data),
        "As above, with 1 load balancer, 3 control planes, 3 machines for etcd, 1 worker.",
        "",
        *lost(data),
    ]


def quorum_lost(data: Run) -> list[str]:
    """Two of three control planes destroyed."""
    return [
        "## The quorum is lost",
        "",
        *about(data),
        "As above. Two of three control planes are destroyed at one moment. `s` of the first row is the time of the "
        "recovery, `gap then` the time from its start until everything answered again; `gap of the loss` includes the "
        "look that comes before. The writes that the survivor has received are read from the raw bytes of its log "
        "before anything is done; every acknowledged one of them has to be there in the end, and the containers of "
        "the workers' pods have to be the same.",
        "",
        *lost(data),
    ]


ANYWHERE = {
    "anywhere-site": (
        "`site` killed anywhere",
        "1 load balancer, 3 control planes, 1 worker, blank at the beginning of each point.",
    ),
    "anywhere-remove": (
        "`remove_node` and `add_nodes` killed anywhere",
        "1 load balancer, 3 control planes, 2 workers: one cluster, from which a machine leaves and to which it comes "
        "back again and again.",
    ),
    "anywhere-replace": (
        "`replace_node` killed anywhere",
        "2 load balancers, 3 control planes, 2 workers: one cluster. Before each point a machine is killed for good, "
        "and a blank one has its name.",
    ),
}


def anywhere(data: Run) -> list[str]:
    """Playbooks killed at points that were drawn, run again, compared with undisturbed runs."""
    title, machines = ANYWHERE[data["name"]]
    calm = {run["operation"]: run for run in data["runs"] if run["kind"] == "undisturbed"}.values()
    tried = sorted((run for run in data["runs"] if run["kind"] == "point"), key=lambda run: run["number"])
    points = [run for run in tried if run["reached"]]
    good = sum(not run["problem"] for run in points)
    refused = sum(run["refused"] > 0 for run in points)
    rows = [
        [
            run["number"], run["operation"], run["killed"] if run["reached"] else f"not: it ended in {run['ran']} s",
            run["during"].replace(" | ", ": "), run["seen"], f"{run['again']:.0f}" if run["again"] else None,
            verdict(run["problem"], "as undisturbed"),
        ]
        for run in tried
    ]  # fmt: skip
    undisturbed = [
        [
            run["operation"], f"{run['seconds']:.0f}", len(run["walls"]),
            verdict(run["problem"] or "; ".join(ill(run["same"])), "verified"),
        ]
        for run in calm
    ]  # fmt: skip
    return [
        f"## {title}",
        "",
        *about(data),
        f"{machines} SIGKILL goes to Ansible's whole process group; what it had started on a host goes on there. "
        "`then` is what serves in the moment after the kill: healthy voters of all, learners, API servers; a state is "
        "unsafe when a second look 5 s later finds it so, too. The same command runs again at once, to its end. That "
        "end is compared with an undisturbed run's: etcd's members, Nodes, Leases, certificates (by which CA, for "
        "whom, under which names), manifests and other configuration by their hashes, files and their modes, HAProxy's "
        "backends, cordons, tokens, claims and markers; certificates and members of machines that the run is not about "
        "are the same ones as before.",
        "",
        *table(["undisturbed", "s", "tasks", "result"], undisturbed),
        *table(["point", "run", "killed", "in", "then", "again s", "result"], rows),
        f"{len(points)} of {len(PLANS[data['name']].operations)} planned points (seed "
        f"{tried[0]['seed'] if tried else '-'}): {good} ended like an undisturbed run, "
        f"{sum(bool(run['unsafe']) for run in points)} unsafe states, {sum(run['orphans'] for run in points)} orphan "
        f"members, {refused} in which the killed run's lock was still held when the next one began.",
        "",
    ]


SECTIONS = {
    "interrupted": interrupted,
    "colocated": colocated,
    "external-etcd": external,
    **{f"sources-{suite}": sources for suite in SUITES},
    "sources-broken": broken,
    "etcd-truth": truth,
    "snapshot-flips": flips,
    "restore": restore,
    "rotate-key": rotated,
    "upgrade": alone,
    "upgrades-killed": killed,
    "upgrades-stopped": stopped,
    "losses": losses,
    "losses-external": losses_external,
    "quorum-lost": quorum_lost,
    **dict.fromkeys(ANYWHERE, anywhere),
    "worker": report_runs.worker,
    "pairs": report_runs.pairs,
    "reset": report_runs.reset,
    "recover-other": report_runs.recover_other,
    "renewal": report_runs.renewal,
}


def render(found: Mapping[str, Run | None]) -> str:
    """The whole document."""
    lines = [
        "# Faults",
        "",
        "Written by `make faults`; the raw figures are in `results/`. Faults of a running cluster, seen by clients, "
        "are in [bench/RESULTS.md](../../bench/RESULTS.md).",
        "",
    ]
    for name, section in SECTIONS.items():
        data = found.get(name)
        lines += section(data) if data else []
    missing = [name for name in SECTIONS if not found.get(name)]
    lines += [f"Not run yet: {', '.join(missing)}.", ""] if missing else []
    return "\n".join(lines).rstrip("\n") + "\n"


def write(names: Sequence[str] = tuple(SECTIONS)) -> None:
    """Read the results, write the document."""
    text = render({name: load(name, RESULTS) for name in names})
    (HERE / "RESULTS.md").write_text(text, encoding="utf-8")
