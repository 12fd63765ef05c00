# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results to RESULTS.md. Pure but for main's reading and writing: what was measured is printed, failures included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.goals import CALLS_FIRST, CALLS_SECOND, SCENARIOS, Goal, Scenario
from bench.stats import median, ratio
from bench.store import RESULTS, load

Run = Mapping[str, Any]
SOURCE_HOSTS = (("cp1", "cp2", "cp3"), ("w1",))
TARGET = Path(__file__).resolve().parent / "RESULTS.md"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join("-" if cell is None else str(cell) for cell in row) + " |" for row in rows), ""]


def verdict(goal: Goal, value: float | None) -> list[object]:
    """The cells of a figure: what, measured, goal, met."""
    if value is None:
        return [goal.what, "not measured", goal.text(), "-"]
    return [goal.what, goal.show(value), goal.text(), "yes" if value <= goal.most else "**no**"]


def of_kind(runs: Sequence[Run], kind: str) -> list[Run]:
    """Runs of a kind that ended well."""
    return [run for run in runs if run["kind"] == kind and not run["failed"]]


def walls(runs: Sequence[Run], kind: str) -> dict[int, float]:
    """Pair -> seconds."""
    return {run["pair"]: run["wall"] for run in of_kind(runs, kind)}


def matched(one: Mapping[int, float], other: Mapping[int, float]) -> list[tuple[float, float]]:
    """The values of the pairs that both have."""
    return [(one[pair], other[pair]) for pair in sorted(one.keys() & other.keys())]


def about(data: Run) -> list[str]:
    """Where and when."""
    machine = data["machine"]
    text = (
        f"{data['date']}, `{data['command']}`, {machine['cores']} cores ({machine['processor']}), "
        f"{machine['memory_gib']} GiB, {machine['system']}, Linux {machine['kernel']}."
    )
    return [text, ""]


def failures(data: Run) -> list[str]:
    """Runs that did not end well are told, never left out."""
    bad = [run for run in data["runs"] if run["failed"]]
    if not bad:
        return [f"Failed runs: none of {len(data['runs'])}.", ""]
    lines = [f"Failed runs: {len(bad)} of {len(data['runs'])}.", ""]
    for run in bad:
        what = run.get("kind") or run.get("scenario") or f"adverts every {run.get('interval')} s, try"
        why = run.get("error") or next(iter(run.get("tail") or ["no output"]))
        lines.append(f"- {what} {run.get('pair', run.get('number', 0)) + 1}: {str(why).strip()[:300]}")
    return [*lines, ""]


def side_by_side(site: Mapping[int, float], bare: Mapping[int, float], second: Mapping[int, float]) -> list[str]:
    """Every pair's seconds."""
    rows: list[list[object]] = []
    for pair in sorted(site.keys() | bare.keys()):
        both = pair in site and pair in bare
        share = f"{site[pair] / bare[pair]:.2f}" if both else None
        rows.append([pair + 1, site.get(pair), bare.get(pair), share, second.get(pair)])
    return table(["pair", "site.yml s", "baseline.sh s", "ratio", "second run s"], rows)


def site_section(data: Run) -> list[str]:
    """site.yml against baseline.sh, and the second run."""
    runs = data["runs"]
    site, bare, second = walls(runs, "site"), walls(runs, "baseline"), walls(runs, "second")
    seconds = of_kind(runs, "second")
    lines = ["## site.yml and the same commands by hand", "", *about(data), *side_by_side(site, bare, second)]
    figures = [
        verdict(
            Goal("site.yml / baseline.sh, median of the pairs", 1.3, note="1.2 is the aim"), ratio(matched(site, bare))
        ),
        *second_verdicts(seconds, list(site.values())),
    ]
    lines += table(["figure", "measured", "goal", "met"], figures)
    lines += ["Done after so many seconds in `baseline.sh`, medians:", "", *phases(of_kind(runs, "baseline"))]
    return [*lines, *failures(data)]


def second_verdicts(seconds: Sequence[Run], first: Sequence[float]) -> list[list[object]]:
    """The second run's rows: nothing changed, nothing restarted, quick."""
    typical = median(list(first))
    most = max(12.0, 0.05 * typical) if typical else 12.0
    changed = [float(run["totals"]["changed"]) for run in seconds if "totals" in run]
    restarts = [float(len(run["restarted"])) for run in seconds]
    return [
        verdict(
            Goal("second run, wall, median", round(most, 1), "s", "5 % of the first run or 12 s"),
            median([run["wall"] for run in seconds]),
        ),
        verdict(Goal("second run, tasks that changed something, most", 0), max(changed, default=None)),
        verdict(Goal("second run, processes restarted, most", 0), max(restarts, default=None)),
    ]


def phases(runs: Sequence[Run]) -> list[str]:
    """Medians of the baseline's phases."""
    names = list(dict.fromkeys(name for run in runs for name in run["phases"]))
    rows = [[name, median([run["phases"][name] for run in runs if name in run["phases"]])] for name in names]
    return table(["phase", "s"], rows)


def small_section(data: Run) -> list[str]:
    """3 + 1, to compare with what others take."""
    runs = data["runs"]
    site, bare, second = walls(runs, "site"), walls(runs, "baseline"), walls(runs, "second")
    lines = ["## 3 control planes, 1 worker, 2 load balancers", "", *about(data), *side_by_side(site, bare, second)]
    figures = [
        verdict(Goal("site.yml from blank machines, median", 75, "s"), median(list(site.values()))),
        verdict(Goal("second run, median", 12, "s"), median(list(second.values()))),
    ]
    lines += table(["figure", "measured", "goal", "met"], figures)
    lines += [
        "kubespray 2.32 with everything local on such a machine (3 + 1, etcd as a service, flannel) took 375 s from "
        "blank nodes and 354 s when run again with nothing to do.",
        "",
    ]
    return [*lines, *failures(data)]


def budget_section(data: Run) -> list[str]:
    """Remote calls and skips, from the callback's reports."""
    rows = []
    for kind, goals in (("site", CALLS_FIRST), ("second", CALLS_SECOND)):
        counted = [run for run in of_kind(data["runs"], kind) if "calls" in run]
        for group, goal in goals.items():
            rows.append(verdict(goal, max((run["calls"].get(group, 0) for run in counted), default=None)))
        share = median([100 * run["skip_share"] for run in counted])
        rows.append(verdict(Goal(f"{kind} run, skipped host-tasks", 10, "%"), share))
    return ["## Remote calls and skips", "", *table(["figure", "measured", "goal", "met"], rows)]


def faults_section(data: Run) -> list[str]:
    """The longest gap that clients saw, scenario by scenario."""
    rows = []
    for scenario in SCENARIOS:
        runs = [run for run in data["runs"] if run["scenario"] == scenario.name and not run["failed"]]
        lost = sum(run["lost"] for run in runs)
        acknowledged = sum(run["acknowledged"] for run in runs)
        rows.append(
            [
                scenario.goal.what,
                len(runs),
                *spread([run["fault_gap"] for run in runs], scenario.goal),
                *spread([run["gap"] for run in runs], scenario.goal),
                scenario.goal.text(),
                f"{lost} of {acknowledged}",
            ]
        )
    head = ["fault", "times", "fault: median s", "most s", "met", "recovery too: median s", "most s", "met", "goal"]
    lines = ["## The longest gap at 10 Hz through the VIP", "", *about(data)]
    lines += [
        "Reads and compare-and-swap writes, on new and on kept-alive connections; the longest time without an answer "
        "in any of these streams. First while the fault lasts, then with the time until the cluster is whole again: "
        "there a machine with two cores boots a control plane beside everything else. The goal is compared with the "
        "worst repetition.",
        "",
        *table([*head, "acknowledged writes lost"], rows),
        *table(["fault", "each: fault / recovery too"], [each_gap(data, scenario) for scenario in SCENARIOS]),
    ]
    return [*lines, *failures(data)]


def spread(gaps: Sequence[float], goal: Goal) -> list[object]:
    """Median, most, and whether the most meets the goal."""
    most = max(gaps, default=None)
    return [median(list(gaps)), most, "-" if most is None else "yes" if most <= goal.most else "**no**"]


def each_gap(data: Run, scenario: Scenario) -> list[object]:
    """Every repetition: the fault's gap, and that of the whole."""
    runs = [run for run in data["runs"] if run["scenario"] == scenario.name and not run["failed"]]
    return [scenario.goal.what, ", ".join(f"{run['fault_gap']:.2f} / {run['gap']:.2f}" for run in runs)]


def upgrades_section(data: Run) -> list[str]:
    """upgrade.yml against upgrade.sh, node by node."""
    runs = data["runs"]
    ours, bare = walls(runs, "upgrade"), walls(runs, "script")
    rows: list[list[object]] = []
    names = list(dict.fromkeys(name for run in runs for name in run["nodes"]))
    for pair in sorted(ours.keys() | bare.keys()):
        both = pair in ours and pair in bare
        share = f"{ours[pair] / bare[pair]:.2f}" if both else None
        rows.append([pair + 1, ours.get(pair), bare.get(pair), share])
    each = []
    for name in names:
        of = {kind: median([run["nodes"][name] for run in of_kind(runs, kind) if name in run["nodes"]])
              for kind in ("upgrade", "script")}  # fmt: skip
        each.append([name, of["upgrade"], of["script"]])
    return [
        "## An upgrade and the same by hand",
        "",
        *about(data),
        "1.35.4 to 1.36.3, etcd 3.6.14 to 3.6.16, 2 load balancers, 3 control planes, 2 workers. `upgrade.yml` looks, "
        "judges, takes a snapshot that it restores once, keeps every control plane stable for 15 s, verifies the end. "
        "`upgrade.sh` imports the images and drains, upgrades and restarts, on a cluster with kubeadm's own settings.",
        "",
        *table(["pair", "upgrade.yml s", "upgrade.sh s", "ratio"], rows),
        *table(["figure", "measured", "goal", "met"],
               [verdict(Goal("upgrade.yml / upgrade.sh, median", 0.5), ratio(matched(ours, bare)))]),
        *table(["node", "upgrade.yml s", "upgrade.sh s"], each),
        *failures(data),
    ]  # fmt: skip


def sources_section(data: Run) -> list[str]:
    """What each source of software costs: medians of its runs."""
    rows: list[list[object]] = []
    for source in dict.fromkeys(run["kind"] for run in data["runs"]):
        runs = of_kind(data["runs"], source)
        fetched = [[median([run["fetched"][name] for run in runs]) or 0 for name in kind] for kind in SOURCE_HOSTS]
        spent = [median([run["imports"][name] for run in runs]) for name in ("all hosts", "clock", "alone")]
        walls = [median([run[name] for run in runs]) for name in ("first", "second")]
        shown = ["-" if value is None else f"{value:.0f}" for value in (*walls, *spent)]
        each = [", ".join(f"{mib:.0f}" for mib in kind) for kind in fetched]
        rows.append([source, len(runs), *shown[:2], *each, *shown[2:]])
    head = ["source", "times", "first s", "second s", "MiB fetched by cp1, cp2, cp3", "by w1"]
    return [
        "## The three sources of software",
        "",
        *about(data),
        "1 load balancer, 3 control planes, 1 worker from blank machines that reach nothing but the lab, as in "
        "[Faults](../tests/faults/RESULTS.md); medians. Of a bundle, what lies on the host: not compressed, "
        "and the host that shares it (cp1) has all of it. The last columns are the tasks that import or pull images: "
        "added up over the hosts, on the clock, and the part of that in which nothing else was done on any host. Every "
        "run checks that the worker has no image of a control plane.",
        "",
        *table([*head, "images: all hosts s", "clock s", "alone s"], rows),
        *failures(data),
    ]


def vrrp_section(data: Run) -> list[str]:
    """The advert interval against what it costs."""
    rows: list[list[object]] = []
    for run in data["runs"]:
        if not run["failed"]:
            each = ", ".join(f"{gap:.2f}" for gap in run["gaps"])
            rows.append([f"{run['interval']:g}", median(run["gaps"]), max(run["gaps"]), each, run["false_failovers"]])
    lines = ["## keepalived's advert interval", "", *about(data)]
    told = next(iter(data["runs"]), None)
    if told:
        lines += [
            "The active load balancer killed: the longest time without a connection at the VIP. Then, with every "
            f"machine alive, {told['processes']} processes that never rest for {told['stress_seconds']:g} s: how often "
            "the VIP moved.",
            "",
        ]
    head = ["adverts every s", "gap, median s", "most s", "each", "moved under stress"]
    return [*lines, *table(head, rows), *failures(data)]


PARTS = ("site", "small", "sources", "upgrades", "faults", "vrrp")


def render(found: Mapping[str, Run | None]) -> str:
    """The whole document."""
    sections = (
        ("site", site_section),
        ("small", small_section),
        ("site", budget_section),
        ("sources", sources_section),
        ("upgrades", upgrades_section),
        ("faults", faults_section),
        ("vrrp", vrrp_section),
    )
    lines = ["# Results", "", "Written by `python3 -m bench`; the raw figures are in `results/`.", ""]
    for name, section in sections:
        data = found.get(name)
        lines += section(data) if data else []
    missing = [name for name in PARTS if not found.get(name)]
    lines += [f"Not measured yet: {', '.join(missing)}.", ""] if missing else []
    return "\n".join(lines).rstrip("\n") + "\n"


def write(directory: Path = RESULTS, target: Path = TARGET) -> None:
    """Read the results, write the document."""
    target.write_text(render({name: load(name, directory) for name in PARTS}), encoding="utf-8")
