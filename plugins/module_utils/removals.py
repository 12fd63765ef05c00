# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node, or the cluster's configuration, still uses of what the target version took away. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from . import removal_table as table
from .findings import FATAL, WARNING, Finding, fatal, warning
from .upgrade_facts import (
    APISERVER,
    ETCD,
    KUBEADM_FLAGS,
    KUBELET,
    KUBELET_CONFIG,
    MANAGER,
    MANIFEST,
    SCHEDULER,
    KubeletFacts,
    UpgradeNode,
)
from .version import Version, parse_version
from .versions import RELEASES

CHECK = "removed"
RUNNING = "the running kubelet's command line"
CLUSTER = "ClusterConfiguration in ConfigMap kube-system/kubeadm-config"
# Component to the key of ClusterConfiguration and the inventory variable that its flags come from.
SECTIONS = {
    APISERVER: ("apiServer", "kube_control_plane_api_server_args"),
    MANAGER: ("controllerManager", "kube_control_plane_controller_manager_args"),
    SCHEDULER: ("scheduler", "kube_control_plane_scheduler_args"),
}
ETCD_SECTION = "etcd.local"
# kubeadm of that version takes this flag out of this file itself, before the kubelet is started again.
MENDED = {("pod-infra-container-image", KUBEADM_FLAGS): "1.35"}
# kubeadm wrote these itself for etcd 3.5, and writes the manifest anew with what etcd 3.6 and newer have instead.
KUBEADM_OWN = {ETCD: ("experimental-initial-corrupt-check", "experimental-watch-progress-notify-interval")}
CGROUP_V1_ERROR = (1, 35)
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Use:
    """Flags of a component, and where they are written. fix: what to change."""

    component: str
    where: str
    flags: tuple[tuple[str, str], ...]
    fix: str


def parse_flags(words: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Name and value of each flag; a value may be the next word."""
    flags: list[tuple[str, str]] = []
    for number, word in enumerate(words):
        if word.startswith("-") and len(word) > 1:
            name, equals, value = word.lstrip("-").partition("=")
            following = words[number + 1] if number + 1 < len(words) else "-"
            flags.append((name, value if equals or following.startswith("-") else following))
    return tuple(flags)


def parse_gates(flags: Iterable[tuple[str, str]]) -> dict[str, bool | None]:
    """Feature gates that --feature-gates sets; None for a value that is none."""
    gates: dict[str, bool | None] = {}
    for name, value in flags:
        for entry in value.split(",") if name == "feature-gates" else ():
            # Several components in one process: "kube:Name=true".
            gate, _equals, wanted = entry.strip().rpartition(":")[2].partition("=")
            gates[gate] = _truth(wanted)
    return {gate: wanted for gate, wanted in gates.items() if gate}


def _truth(text: Any) -> bool | None:
    return {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}.get(str(text).lower())


def _series(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _until(rows: Mapping[str, _Value], target: Version) -> Iterator[tuple[str, _Value]]:
    """The rows of a table up to the target, in order."""
    for series in sorted(rows, key=_series):
        if _series(series) <= (target.major, target.minor):
            yield series, rows[series]


def _gone(rows: Mapping[str, Iterable[str]], target: Version) -> dict[str, str]:
    """Name to the version that no longer has it."""
    return {name: series for series, names in _until(rows, target) for name in names}


def _locked(rows: Mapping[str, Mapping[str, bool]], target: Version) -> dict[str, tuple[str, bool]]:
    """Gate to the version that locked it, and the value."""
    return {gate: (series, value) for series, gates in _until(rows, target) for gate, value in gates.items()}


def etcd_of(target: Version) -> Version | None:
    """The etcd that kubeadm runs beside this Kubernetes, as far as it is known."""
    if target.series in RELEASES:
        return parse_version(RELEASES[target.series].etcd)
    known = [series for series, _etcd in _until(table.ETCD_SERIES, target)]
    return parse_version(f"{table.ETCD_SERIES[known[-1]]}.0") if known else None


def _version_for(component: str, target: Version) -> Version | None:
    return etcd_of(target) if component == ETCD else target


def _is_mended(use: Use, name: str, target: Version) -> bool:
    own = KUBEADM_OWN.get(use.component, ()) if use.where == MANIFEST.format(use.component) else ()
    return name in own or MENDED.get((name, use.where)) == target.series


def _flags(host: str, use: Use, target: Version) -> Iterator[Finding]:
    version = _version_for(use.component, target)
    gone = _gone(table.FLAGS.get(use.component, {}), version) if version else {}
    for name in dict.fromkeys(name for name, _value in use.flags):
        if name in gone and not _is_mended(use, name, target):
            found = f"{use.where} sets --{name}, which {use.component} {gone[name]} no longer has: it would not start"
            yield fatal(host, CHECK, found, use.fix)


def _gates(
    host: str, where: str, gates: Mapping[str, bool | None], target: Version, fix: str, *, kubeadm: bool = False
) -> Iterator[Finding]:
    rows = (table.KUBEADM_GATES, table.KUBEADM_LOCKED) if kubeadm else (table.GATES, table.LOCKED)
    product, gone, locked = "kubeadm" if kubeadm else "Kubernetes", _gone(rows[0], target), _locked(rows[1], target)
    for gate, wanted in gates.items():
        if gate in gone:
            found = f"{where} sets the feature gate {gate}, which {product} {gone[gate]} no longer has"
            yield fatal(host, CHECK, found, fix)
        elif gate in locked and wanted is not locked[gate][1]:
            series, value = locked[gate]
            found = f"{where} sets the feature gate {gate}, which {product} {series} locked to {str(value).lower()}"
            yield fatal(host, CHECK, found, fix)


def _apis(host: str, use: Use, target: Version) -> Iterator[Finding]:
    gone = _gone(table.APIS, target)
    values = [value for name, value in use.flags if name == "runtime-config"]
    for entry in ",".join(values).split(","):
        api = "/".join(entry.partition("=")[0].strip().split("/")[:2])
        if use.component == APISERVER and api in gone:
            level = WARNING if api in table.REGISTERED else FATAL
            found = f"{use.where} sets --runtime-config={entry}, and Kubernetes {gone[api]} no longer has {api}"
            yield Finding(host, CHECK, level, found, use.fix)


def _use(host: str, use: Use, target: Version) -> Iterator[Finding]:
    """Everything about one component's flags."""
    yield from _flags(host, use, target)
    yield from _apis(host, use, target)
    if use.component != ETCD:
        yield from _gates(host, use.where, parse_gates(use.flags), target, use.fix)


def _fix(component: str) -> str:
    if component in SECTIONS:
        section, variable = SECTIONS[component]
        return f"take it out of {variable}, and out of {section}.extraArgs of {CLUSTER}, which kubeadm writes it from"
    return f"take it out of {ETCD_SECTION}.extraArgs of {CLUSTER}, which kubeadm writes it from"


def pod_uses(node: UpgradeNode) -> list[Use]:
    """How the static pods are started."""
    return [
        Use(name, MANIFEST.format(name), parse_flags(pod.args), _fix(name))
        for name, pod in sorted(node.static_pods.items())
        if pod.args is not None
    ]


def kubelet_uses(kubelet: KubeletFacts) -> list[Use]:
    """How the kubelet is started: what no file of ours sets comes from its unit or a drop-in of it."""
    uses = []
    for path, words in sorted(kubelet.environment.items()):
        variable = "" if path == KUBEADM_FLAGS else "kubelet_extra_args and "
        fix = f"take it out of {variable}{path}, then restart the kubelet"
        uses.append(Use(KUBELET, path, parse_flags(words), fix))
    known = {flag for use in uses for flag in use.flags}
    others = tuple(flag for flag in parse_flags(kubelet.args) if flag not in known)
    fix = "take it out of kubelet.service or its drop-in (systemctl cat kubelet), then restart the kubelet"
    return [*uses, Use(KUBELET, RUNNING, others, fix)]


def _config(node: UpgradeNode, target: Version) -> Iterator[Finding]:
    """The KubeletConfiguration."""
    config = node.kubelet.config or {}
    fix = (
        f"take it out of kube_control_plane_kubelet_config, of ConfigMap kube-system/kubelet-config and of "
        f"{KUBELET_CONFIG}, then restart the kubelet"
    )
    gates = config.get("featureGates")
    wanted = {str(gate): _truth(value) for gate, value in gates.items()} if isinstance(gates, Mapping) else {}
    yield from _gates(node.host, f"{KUBELET_CONFIG} (featureGates)", wanted, target, fix)
    gone = _gone(table.KUBELET_FIELDS, target)
    for name in sorted(gone.keys() & config.keys()):
        found = f"{KUBELET_CONFIG} sets {name}, which kubelet {gone[name]} no longer has and ignores"
        yield warning(node.host, CHECK, found, fix)
    v1_is_error = node.kubelet.config is not None and (target.major, target.minor) >= CGROUP_V1_ERROR
    if v1_is_error and node.cgroup == "v1" and config.get("failCgroupV1") is not False:
        found = "the host has cgroup v1, with which kubelet 1.35 and newer do not start"
        step = "boot it with cgroup v2, or set failCgroupV1: false in kube_control_plane_kubelet_config and on the host"
        yield fatal(node.host, CHECK, found, step)


def _unreadable(node: UpgradeNode) -> Iterator[Finding]:
    """What cannot be read cannot be judged."""
    paths = [MANIFEST.format(name) for name, pod in sorted(node.static_pods.items()) if pod.args is None]
    if node.kubelet.config_present and node.kubelet.config is None:
        paths.append(KUBELET_CONFIG)
    for path in paths:
        found = f"{path} is not YAML as kubeadm writes it, so what is set in it is not known"
        step = "write it in block style with plain or quoted values: no anchors, no tabs, no text over several lines"
        yield fatal(node.host, "unreadable", found, step)


def find(node: UpgradeNode, target: Version) -> list[Finding]:
    """What on a node stands in the target's way. A flag is told where it is written, once."""
    found = [*_unreadable(node), *_config(node, target)]
    for use in (*pod_uses(node), *kubelet_uses(node.kubelet)):
        found += _use(node.host, use, target)
    return sorted(set(found))


def find_in_configuration(configuration: Mapping[str, Any] | None, target: Version) -> list[Finding]:
    """What in ClusterConfiguration (cluster_info's cluster_configuration) would be written into new manifests."""
    known: Mapping[str, Any] = configuration or {}
    local = _mapping(_mapping(known.get("etcd")).get("local"))
    sections = [(name, _mapping(known.get(section)), section) for name, (section, _variable) in SECTIONS.items()]
    found: list[Finding] = []
    for component, values, section in [*sections, (ETCD, local, ETCD_SECTION)]:
        where = f"{section}.extraArgs of {CLUSTER}"
        found += _use("", Use(component, where, _extra_args(values.get("extraArgs")), _fix(component)), target)
    gates = {str(gate): _truth(value) for gate, value in _mapping(known.get("featureGates")).items()}
    step = f"take it out: kubectl -n kube-system edit configmap kubeadm-config, and kubeadm {target.series} goes on"
    found += _gates("", f"featureGates of {CLUSTER}", gates, target, step, kubeadm=True)
    gone = _gone(table.KUBEADM_APIS, target)
    version = str(known.get("apiVersion"))
    if version in gone:
        text = f"{CLUSTER} is of {version}, which kubeadm {gone[version]} cannot read"
        found.append(fatal("", CHECK, text, "upgrade to the newest patch of the running minor version first"))
    return sorted(set(found))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _extra_args(value: Any) -> tuple[tuple[str, str], ...]:
    """A mapping in v1beta3, a list of name and value since v1beta4."""
    if isinstance(value, Mapping):
        return tuple((str(name), str(text)) for name, text in value.items())
    rows = value if isinstance(value, list) else []
    return tuple((str(row.get("name")), str(row.get("value"))) for row in rows if isinstance(row, Mapping))
