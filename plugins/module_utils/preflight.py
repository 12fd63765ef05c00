# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight: inputs and facts of all hosts to every finding at once, and the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import preflight_cluster, preflight_etcd, preflight_hosts, preflight_network, preflight_software
from .facts import Node, parse_node
from .findings import FATAL, Finding
from .preflight_case import Case
from .preflight_inputs import Inputs, parse_inputs
from .site_plan import SitePlan, decide

CHECKS = (
    *preflight_cluster.CHECKS,
    *preflight_etcd.CHECKS,
    *preflight_network.CHECKS,
    *preflight_hosts.CHECKS,
    *preflight_software.CHECKS,
)


@dataclass(frozen=True)
class Review:
    """Everything that preflight found. findings: fatal ones first, each once."""

    inputs: Inputs
    plan: SitePlan
    findings: tuple[Finding, ...]

    @property
    def fatal(self) -> tuple[Finding, ...]:
        """Those that stop the run."""
        return tuple(finding for finding in self.findings if finding.level == FATAL)


def _order(finding: Finding) -> tuple[bool, bool, str, str, str]:
    return finding.level != FATAL, bool(finding.host), finding.check, finding.host, finding.found


def review(raw_inputs: Mapping[str, Any], raw_nodes: Mapping[str, Mapping[str, Any]]) -> Review:
    """raw_inputs: see parse_inputs. raw_nodes: host to node_info's `node`; hosts that did not answer are not in it."""
    inputs, findings = parse_inputs(raw_inputs)
    nodes: dict[str, Node] = {name: parse_node(name, raw) for name, raw in raw_nodes.items() if name in inputs.hosts}
    plan = decide(inputs, nodes)
    case = Case(inputs, nodes, plan)
    every = {*findings, *plan.findings, *(finding for check in CHECKS for finding in check(case))}
    return Review(inputs, plan, tuple(sorted(every, key=_order)))


def find(raw_inputs: Mapping[str, Any], raw_nodes: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """Only the findings."""
    return list(review(raw_inputs, raw_nodes).findings)
