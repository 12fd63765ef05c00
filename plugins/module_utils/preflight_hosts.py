# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of single hosts: system, kernel, memory, disks, swap, ports, clock."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from .etcd_plan import EXTERNAL
from .facts import Listener, Node
from .findings import WARNING, Finding, fatal, warning
from .input_types import amount
from .preflight_case import Case, Check
from .preflight_inputs import CONTROL_PLANE, LB, HostInputs

# Distribution to the versions that the collection supports; a prefix up to the first dot counts for RHEL's kin.
SYSTEMS = {
    "debian": ("12", "13"),
    "ubuntu": ("22.04", "24.04"),
    "rocky": ("9",),
    "almalinux": ("9",),
}
SYSTEMS_IN_WORDS = "Debian 12 or 13, Ubuntu 22.04 or 24.04, Rocky or Alma 9"
ARCHITECTURES = ("x86_64", "aarch64")
FEATURES = ("overlay", "br_netfilter", "nf_conntrack", "ip_tables_or_nft")
# Port to the program of ours that may hold it on a node, or on one whose join was interrupted.
NODE_PORTS = {10248: "kubelet", 10250: "kubelet", 10249: "kube-proxy", 10256: "kube-proxy"}
PLANE_PORTS = {10257: "kube-controller-manager", 10259: "kube-scheduler"}
ETCD_PORTS = {2379: "etcd", 2380: "etcd", 2381: "etcd"}
ETCD_DATA = "/var/lib/etcd"
CONTROLLER_SKEW = 60.0
GIB = 1 << 30
MIB = 1 << 20


def _is_supported(node: Node) -> bool:
    versions = SYSTEMS.get(node.os_id, ())
    return not node.os_id or node.os_version in versions or node.os_version.split(".")[0] in versions


def system(case: Case) -> Iterator[Finding]:
    """Distribution, architecture and init system."""
    for host, node in case.known():
        if not case.inputs.rules.allow_unsupported_os and not _is_supported(node):
            step = f"use {SYSTEMS_IN_WORDS}, or set kube_preflight_allow_unsupported_os"
            yield fatal(host.name, "os", f"{node.os_id} {node.os_version} is not supported", step)
        if node.arch and node.arch not in ARCHITECTURES:
            yield fatal(host.name, "arch", f"the machine is {node.arch}", f"use {' or '.join(ARCHITECTURES)}")
        if node.init and node.init != "systemd":
            yield fatal(host.name, "init", f"process 1 is {node.init}", "use a system that systemd started")


def at_rest(case: Case) -> Iterator[Finding]:
    """No operation of an earlier run is under way: what was read would be another thing a moment later."""
    for host, node in case.known():
        if node.kubernetes.busy:
            found = f"kubeadm {node.kubernetes.marker or 'runs'} of an earlier run is still under way on the host"
            yield fatal(host.name, "busy", found, "run again when it has ended; `ps -ef | grep kubeadm` shows it")


def kernel(case: Case) -> Iterator[Finding]:
    """Control groups and the features that Kubernetes and the pod network use."""
    wanted = (*FEATURES, "vxlan") if case.inputs.cni == "flannel" else FEATURES
    for host, node in case.kubernetes_hosts():
        if node.cgroup == "v1" and not case.inputs.rules.allow_cgroup_v1:
            step = "boot with systemd.unified_cgroup_hierarchy=1, or set kube_preflight_allow_cgroup_v1"
            yield fatal(host.name, "cgroup", "control groups v1, which the kubelet refuses since 1.35", step)
        missing = [name for name in wanted if node.features.get(name) is False]
        if missing:
            step = "install a kernel that has them, or the package with the kernel's extra modules"
            yield fatal(host.name, "kernel", f"the kernel has no {', '.join(missing)}", step)


def memory(case: Case) -> Iterator[Finding]:
    """Memory and processors."""
    rules = case.inputs.rules
    for host, node in case.kubernetes_hosts():
        plane = CONTROL_PLANE in host.groups
        least = rules.min_memory_control_plane if plane else rules.min_memory_worker
        severity = case.severity(host.name)
        if node.memory_mib is not None and node.memory_mib < least:
            found = f"{node.memory_mib} MiB of memory, {least} MiB are needed"
            yield Finding(host.name, "memory", severity, found, "give the machine more memory")
        if plane and node.cpu_count is not None and node.cpu_count < rules.min_cpus_control_plane:
            found = f"{node.cpu_count} CPU, a control plane needs {rules.min_cpus_control_plane}"
            yield Finding(host.name, "cpu", severity, found, "give the machine more processors")
    for host, node in case.etcd_machines():
        if node.memory_mib is not None and node.memory_mib < rules.min_memory_etcd:
            found = f"{node.memory_mib} MiB of memory, {rules.min_memory_etcd} MiB are needed"
            yield Finding(host.name, "memory", case.severity(host.name), found, "give the machine more memory")


def _needs(case: Case, host: HostInputs, path: str) -> bool:
    """Whether a host needs room below this path: etcd's data is where etcd is, everything else on nodes."""
    if path == ETCD_DATA and case.plan.etcd.topology == EXTERNAL:
        return host.is_etcd_machine
    return host.is_kubernetes


def disk_space(case: Case) -> Iterator[Finding]:
    """Free space, and file systems that cannot be written."""
    for host, node in case.known():
        for path, disk in sorted(node.disks.items()):
            if not disk.writable:
                found = f"{path} cannot be written (file system {disk.mount})"
                yield fatal(
                    host.name, "read-only", found, f"mount {disk.mount} read-write; journalctl -k tells why it is not"
                )
            least = case.inputs.rules.min_free.get(path, 0) * MIB
            if _needs(case, host, path) and disk.free_bytes < least:
                found = f"{path} has {disk.free_bytes // MIB} MiB free, {least // MIB} MiB are needed"
                yield Finding(host.name, "disk", case.severity(host.name), found, f"make room on {disk.mount}")


def disk_pressure(case: Case) -> Iterator[Finding]:
    """Disk use over what makes the kubelet evict pods or delete images: said with both numbers."""
    config = case.inputs.rules.kubelet_config
    eviction, most = config["evictionHard"], config["imageGCHighThresholdPercent"]
    signals = {"nodefs.available": "/var/lib/kubelet", "imagefs.available": "/var/lib/containerd"}
    for host, node in case.kubernetes_hosts():
        for signal, path in signals.items():
            disk = node.disks.get(path)
            least = amount(eviction.get(signal, "0"), disk.total_bytes) if disk else 0
            if disk and disk.free_bytes < least:
                found = (
                    f"{path}: {disk.free_bytes / GIB:.1f} GiB free, the kubelet evicts pods below "
                    f"{least / GIB:.1f} GiB ({signal} {eviction[signal]})"
                )
                step = f"make room on {disk.mount}, or lower evictionHard"
                yield Finding(host.name, "disk-eviction", case.severity(host.name), found, step)
        images = node.disks.get("/var/lib/containerd")
        if images and images.used_percent > most:
            found = f"{images.mount} is {images.used_percent:.0f} % full, the kubelet deletes images above {most} %"
            yield warning(
                host.name,
                "disk-images",
                found,
                "make room, or raise imageGCHighThresholdPercent; our images are pinned",
            )


def swap(case: Case) -> Iterator[Finding]:
    """The kubelet does not start beside swap; kube_host turns it off unless it is told to keep it."""
    rules = case.inputs.rules
    for host, node in case.kubernetes_hosts():
        devices = ", ".join(node.swap)
        if node.swap and rules.swap == "off":
            yield warning(
                host.name, "swap", f"swap is on ({devices})", "nothing: it is turned off, now and in /etc/fstab"
            )
        elif node.swap and rules.kubelet_config["failSwapOn"]:
            found = f"swap is on ({devices}) and is kept, and the kubelet does not start beside it"
            step = "set kube_host_swap to off, or the kubelet's failSwapOn to false"
            yield Finding(host.name, "swap", case.severity(host.name), found, step)


def _own_ports(case: Case, host: HostInputs) -> dict[int, str]:
    ports = dict(NODE_PORTS) if host.is_kubernetes else {}
    if CONTROL_PLANE in host.groups:
        ports |= {**PLANE_PORTS, case.inputs.bind_port: "kube-apiserver"}
    if host.is_etcd_machine or (CONTROL_PLANE in host.groups and case.plan.etcd.topology != EXTERNAL):
        ports |= ETCD_PORTS
    if LB in host.groups:
        ports |= {case.inputs.api_port: "haproxy", host.lb_health_port: "haproxy"}
    return ports


def _is_ours(case: Case, host: HostInputs, node: Node, listener: Listener, owner: str) -> bool:
    """On a blank machine every listener is foreign, one called kubelet too: another product's cluster runs there."""
    begun = bool(node.kubernetes.marker or node.kubernetes.etcd_initial) or node.kubernetes.bootstrap_conf
    serves = host.is_etcd_machine and node.etcd is not None
    allowed = owner == "haproxy" or begun or serves or not case.begins(host.name)
    return allowed and listener.process in (owner, owner[:15])


def ports(case: Case) -> Iterator[Finding]:
    """Ports that the run needs and a foreign process holds."""
    for host, node in case.known():
        if case.is_joined(host.name) and LB not in host.groups:
            continue
        own = _own_ports(case, host)
        for listener in node.listening:
            owner = own.get(listener.port)
            if owner is None or (case.is_joined(host.name) and owner != "haproxy"):
                continue
            if not _is_ours(case, host, node, listener, owner):
                taker = f"{listener.process or 'an unknown process'} on {listener.address}"
                found = f"port {listener.port} ({owner}'s) is taken by {taker}"
                yield fatal(host.name, "port", found, f"stop it: ss -ltnp 'sport = :{listener.port}'")


def _clocks(case: Case) -> dict[str, tuple[float, float]]:
    """Host to the interval in which its clock is ahead of the controller's for certain."""
    clocks = {}
    for host, node in case.known():
        if node.epoch is not None and host.sent is not None and host.received is not None:
            clocks[host.name] = (node.epoch - host.received, node.epoch - host.sent)
    return clocks


def _certain(one: tuple[float, float], other: tuple[float, float]) -> float:
    """By how much the first is ahead of the second at the least; 0 when the measurement cannot tell."""
    return one[0] - other[1] if one[0] > other[1] else min(0.0, one[1] - other[0])


def clock(case: Case) -> Iterator[Finding]:
    """Clocks that differ. Each host's clock was read between two readings of the controller's, as NTP does it,

    so only what is certain in spite of the network and of a busy controller is reported.
    """
    clocks = _clocks(case)
    if not clocks:
        return
    middle = statistics.median_low(sorted((low + high) / 2 for low, high in clocks.values()))
    reference = min((name for name, (low, high) in clocks.items() if (low + high) / 2 == middle))
    for name, interval in clocks.items():
        ahead = _certain(interval, clocks[reference])
        if abs(ahead) > case.inputs.rules.max_clock_skew:
            found = f"its clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} {reference}'s"
            yield fatal(name, "clock", found, "set it: systemctl enable --now chrony (or systemd-timesyncd)")
    away = _certain(clocks[reference], (0.0, 0.0))
    if abs(away) > CONTROLLER_SKEW:
        found = f"the hosts' clocks are {abs(away):.0f} s {'ahead of' if away > 0 else 'behind'} this controller's"
        yield warning("", "clock", found, "set the controller's clock: tokens live minutes, counted from it")


def unsynchronized(case: Case) -> Iterator[Finding]:
    """A clock that nobody keeps right will be wrong one day."""
    for host, node in case.kubernetes_hosts():
        if node.synchronized is False:
            yield Finding(
                host.name,
                "clock-sync",
                WARNING,
                "no time service keeps its clock",
                "install chrony or systemd-timesyncd",
            )


CHECKS: tuple[Check, ...] = (
    at_rest,
    system,
    kernel,
    memory,
    disk_space,
    disk_pressure,
    swap,
    ports,
    clock,
    unsynchronized,
)
