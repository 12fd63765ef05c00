# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sections of RESULTS.md: a worker that comes and goes, runs that meet, machines made blank, other recoveries."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from bench.report import about, table
from tests.faults.report_rows import Run, steps, verdict

# Seconds: what is asked for, and what kubespray took in the same lab.
GOALS = {"added": 25, "removed": 20}
KUBESPRAY = {"added": 125, "removed": 58}


def worker(data: Run) -> list[str]:
    """A worker leaves and comes back."""
    rows = [
        [
            run["what"],
            run["names"],
            f"{run['seconds']:.1f}",
            f"{run['controller']:.1f}",
            ", ".join(f"{host} {number}" for host, number in sorted(run["calls"].items())),
            verdict(run["problem"], "verified"),
        ]
        for run in data["runs"]
    ]
    return [
        "## A worker leaves and comes back",
        "",
        *about(data),
        "2 load balancers, 3 control planes, 2 workers. A Deployment of two replicas with a budget of one has a pod on "
        "the worker, which is drained, removed and cleaned (`remove_node`); a blank machine takes its name and joins "
        "(`add_nodes`). Both end with `verify`, and are timed from the start of `ansible-playbook` to its end. Then "
        "the same with 500 more workers in the inventory, of which nothing but the names and addresses is there. "
        "`controller` is the processor time of Ansible with all its processes.",
        "",
        *table(["a worker", "hosts in the inventory", "s", "controller s", "remote calls by host", "result"], rows),
        *table(
            ["a worker", "hosts in the inventory", "median s", "goal s", "met", "kubespray s"], _medians(data["runs"])
        ),
    ]


def _medians(runs: Sequence[Run]) -> list[list[object]]:
    kinds = dict.fromkeys((run["what"], run["names"]) for run in runs)
    rows: list[list[object]] = []
    for what, names in kinds:
        of = [run for run in runs if (run["what"], run["names"]) == (what, names) and not run["problem"]]
        if not of:
            continue
        middle = median(run["seconds"] for run in of)
        met = "yes" if middle <= GOALS[what] else "**no**"
        rows.append([what, names, f"{middle:.1f}", GOALS[what], met, KUBESPRAY[what]])
    return rows


def pairs(data: Run) -> list[str]:
    """Runs that meet on one cluster."""
    kinds = dict.fromkeys(run["kind"] for run in data["runs"])
    rows = []
    for kind in kinds:
        of = [run for run in data["runs"] if run["kind"] == kind]
        seconds = sorted(run["seconds"] for run in of)
        wrong = [run["problem"] for run in of if run["problem"]]
        result = verdict("; ".join(wrong), "well")
        rows.append([kind, len(of), f"{seconds[0]:.1f}", f"{median(seconds):.1f}", f"{seconds[-1]:.1f}", result])
    return [
        "## Runs that meet",
        "",
        *about(data),
        "1 load balancer, 3 control planes, 1 worker. Every run is `site` and wants to give a label of the worker its "
        "own value. Pairs are started within half a second of each other, on one controller, or on two, which are two "
        "homes of one user here: the label is the winner's, the loser ended by itself, had asked no host, and named "
        "the winner's process; `s` is the loser's time from its start to its end, with the winner at work beside. "
        "`Ansible killed`: SIGKILL to its whole process group when it has the lock; `s` until nobody has it, which "
        "the keeper gives back. `Ansible and its keeper killed`: until the Lease has ended. In both cases the next run "
        "acts. `frozen past the Lease`: both get SIGSTOP, another run acts when the Lease has ended, both get SIGCONT: "
        "the run's next change is refused, and it has changed nothing; `s` until it ended.",
        "",
        *table(["what", "times", "least s", "median s", "most s", "result"], rows),
    ]


def reset(data: Run) -> list[str]:
    """Machines made blank."""
    return [
        "## Machines become blank",
        "",
        *about(data),
        "1 load balancer, 3 control planes, 2 workers. After each `reset` the interfaces, rules, mounts, processes, "
        "files and addresses that a cluster leaves are looked for by other means than the playbook's own report.",
        "",
        *steps(data),
    ]


def recover_other(data: Run) -> list[str]:
    """A majority of etcd lost, and brought back in the other ways."""
    return [
        "## The quorum is lost: snapshots, and an external etcd",
        "",
        *about(data),
        "1 load balancer, 3 control planes, 1 worker; then 1 load balancer, 2 control planes, 3 machines for etcd, 1 "
        "worker. Two of three members are destroyed. `s` of a recovery includes the look before it and what the test "
        "itself writes and compares: exactly the objects from before the snapshot, or all of them where a survivor is "
        "built on, are there, and the containers on the worker are the same.",
        "",
        *steps(data),
    ]


def renewal(data: Run) -> list[str]:
    """Certificates renewed."""
    rows = [
        [
            run["name"],
            f"{run['seconds']:.0f}",
            f"{run['gap']:.2f}" if run["acknowledged"] else "",
            f"{run['acknowledged']}" if run["acknowledged"] else "",
            verdict(run["problem"], run["told"].replace("|", "/") or "well"),
        ]
        for run in data["runs"]
    ]
    return [
        "## Certificates renewed",
        "",
        *about(data),
        "2 load balancers, 3 control planes, 2 workers, one cluster for all rows. The first row is watched as an "
        "upgrade is: the API at ten hertz, a ledger of writes, a workload. Certificates expire for real: kubeadm "
        "makes them with a life of minutes, everything is started with them, and it is waited until no API server "
        "can be used; two kubelets have an expired certificate as well and do not start. After each renewal, what "
        "every port serves is compared with the file, from outside, and nothing may be left of the old files. The "
        "seconds hold for a machine with other work beside, and those of the last row have the waiting for the end "
        "of the certificates in them.",
        "",
        *table(["case", "s", "longest gap, s", "writes acknowledged", "result"], rows),
    ]
