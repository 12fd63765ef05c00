# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies and runs on a host that a reset has to know. Reads only."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from . import host_reset_net as net
from . import host_reset_ours as ours
from .host_io import Host
from .host_memory import json_object
from .host_reset_facts import Disk, Facts, Identity, Network, Runtime
from .host_units import read_units

MEMBER = f"{ours.ETCD_DIR}/member"
SET_ASIDE = re.compile(r"(?:member|etcd)-removed-[\w.-]+")
AUTHORITY = re.compile(r"""certificate-authority-data["']?:\s*["']?([A-Za-z0-9+/=]+)""")
NODE_NAME = re.compile(r"system:node:([A-Za-z0-9.-]+)")
ETCD_NAME = re.compile(r'^ETCD_NAME="?([A-Za-z0-9.-]+)"?\s*$', re.MULTILINE)
# Legacy tables are asked for only where there are any: the program would make them.
SAVES = ("iptables", "ip6tables")
LEGACY = {"iptables-legacy": "/proc/net/ip_tables_names", "ip6tables-legacy": "/proc/net/ip6_tables_names"}


def look(host: Host, vip: str = "", cni_files: Sequence[str] = ()) -> Facts:
    """Look at everything.

    vip: the address that keepalived moves; its configuration may be gone already. cni_files: names of network
    configurations that are the cluster's, besides those that are known.
    """
    identity = identify(host)
    runtime = look_at_runtime(host)
    files = _files(host, identity, keeps_runtime=bool(runtime.others))
    configs, foreign, networks = _cni_configs(host, {*ours.CNI_FILES, *cni_files})
    kubeconfigs, shared = _kubeconfigs(host, identity.authorities)
    return Facts(
        identity,
        runtime,
        look_at_network(host, vip, networks),
        Disk(
            mounts=tuple(net.pod_mounts(host.read_text("/proc/self/mountinfo") or "")),
            etcd=MEMBER if host.exists(MEMBER) and _is_our_etcd(host, identity) else "",
            set_aside=set_aside(host),
            kubeconfigs=kubeconfigs,
            cni=(*_cni_state(host, networks), *configs),
            files=files,
            trees=tuple(path for path in ours.TREES if host.names(path)),
            configs=tuple(path for path in ours.CONFIGS if host.exists(path)),
            tidy=_tidy(host) if files else (),
        ),
        (*foreign, *shared, *_records(host), *_foreign_runtime(runtime)),
    )


def identify(host: Host) -> Identity:
    """Whose this host is, and what it is called."""
    marked = [path for path in ours.MARKED if ours.is_marked(host.read_text(path, ours.MARK_WITHIN))]
    kubelet = host.read_text(ours.KUBELET_CONF) or ""
    environment = host.read_text("/etc/etcd/etcd.env") or ""
    names = {*NODE_NAME.findall(kubelet), *ETCD_NAME.findall(environment)}
    found = AUTHORITY.findall(kubelet) + AUTHORITY.findall(host.read_text(f"{ours.ETC}/admin.conf") or "")
    return Identity(tuple(marked), tuple(sorted(names)), tuple(dict.fromkeys(found)))


def look_at_runtime(host: Host) -> Runtime:
    """Services, containers, and processes that pods have."""
    units = read_units(host, list(ours.UNIT_FILES))
    containers: list[str] = []
    others: list[str] = []
    if units[ours.CONTAINERD].is_running:
        for namespace in host.run(["ctr", "namespaces", "ls", "-q"]).out.split():
            held = host.run(["ctr", "-n", namespace, "containers", "ls", "-q"]).out.split()
            if namespace == ours.NAMESPACE:
                containers = held
            elif held:
                others.append(namespace)
    return Runtime(units, tuple(containers), tuple(others), tuple(pod_processes(host)), tuple(keepers(host)))


def pod_processes(host: Host) -> list[int]:
    """Processes in the kubelet's part of the cgroups."""
    # Where this very process is in such a part, as in a machine that is a pod itself, everything would be.
    if ours.is_pod(host.read_text("/proc/self/cgroup") or ""):
        return []
    return [pid for pid in _pids(host) if ours.is_pod(host.read_text(f"/proc/{pid}/cgroup") or "")]


def keepers(host: Host) -> list[int]:
    """containerd's processes that stand between it and a pod; they outlive both."""
    return [pid for pid in _pids(host) if ours.is_shim(host.read_text(f"/proc/{pid}/cmdline") or "")]


def _pids(host: Host) -> list[int]:
    return [int(name) for name in host.names("/proc") if name.isdigit()]


def look_at_network(host: Host, vip: str, networks: tuple[str, ...]) -> Network:
    """What pods, kube-proxy and keepalived have put into the kernel."""
    addresses = host.run(["ip", "-j", "addr"]).out
    listed = net.links(addresses)
    keepalived = host.read_text(ours.UNIT_FILES[ours.KEEPALIVED]) or ""
    vip = vip or (net.vip_of(keepalived) if ours.is_marked(keepalived) else "")
    services = net.ipvs_services(host.read_text("/proc/net/ip_vs") or "")
    return Network(
        vip_address=vip,
        # Of this length keepalived makes it; with another it is the machine's own.
        vip=tuple((name, f"{vip}/{size}") for name, size in net.holders(addresses, vip) if size in (32, 128)),
        links=tuple(net.our_links(listed)),
        netns=tuple(name for name in host.names(ours.NETNS_DIR) if ours.NETNS.fullmatch(name)),
        chains=tuple((tool, chain) for tool, text in saved(host).items() for chain in net.removal(text, networks)[1]),
        nft_tables=tuple(net.our_tables(host.run(["nft", "list", "tables"]).out)),
        # Without kube-proxy's interface they are those of somebody else's balancer.
        ipvs=tuple(services if ours.IPVS_LINK in listed else ()),
        networks=networks,
    )


def saved(host: Host) -> dict[str, str]:
    """Program to the text of its -save."""
    tools = [*SAVES, *(tool for tool, path in LEGACY.items() if (host.read_text(path) or "").strip())]
    texts = {tool: host.run([f"{tool}-save"]) for tool in tools}
    return {tool: answer.out for tool, answer in texts.items() if answer.code == 0}


def _cni_configs(host: Host, known: set[str]) -> tuple[tuple[str, ...], list[str], tuple[str, ...]]:
    """Configurations that are ours, what stays of others, and the names of our networks."""
    configs, foreign, networks = [], [], list(ours.NETWORKS)
    for name in host.names(ours.CNI_DIR):
        path = f"{ours.CNI_DIR}/{name}"
        if name not in known:
            foreign.append(f"{path} is not known as ours")
            continue
        configs.append(path)
        network = json_object(host.read_text(path)).get("name")
        if isinstance(network, str) and re.fullmatch(r"[A-Za-z0-9][\w.-]*", network):
            networks.append(network)
    return tuple(configs), foreign, tuple(dict.fromkeys(networks))


def _cni_state(host: Host, networks: Iterable[str]) -> list[str]:
    """Addresses given and results kept, of our networks. A result is called NETWORK-CONTAINER-INTERFACE."""
    mine = [f"{ours.CNI_STATE}/flannel", *(f"{ours.CNI_STATE}/networks/{name}" for name in networks)]
    results = f"{ours.CNI_STATE}/results"
    result = re.compile("(?:" + "|".join(map(re.escape, networks)) + r")-[0-9a-f]{64}-[\w.-]+")
    mine += [f"{results}/{name}" for name in host.names(results) if result.fullmatch(name)]
    return [path for path in mine if host.exists(path)]


def _kubeconfigs(host: Host, authorities: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """People's kubeconfigs of this cluster alone; and those that have others as well, which stay."""
    homes = [line.split(":")[5] for line in (host.read_text("/etc/passwd") or "").splitlines() if line.count(":") == 6]
    mine, shared = [], []
    for path in dict.fromkeys(f"{home.rstrip('/')}/.kube/config" for home in homes):
        named = AUTHORITY.findall(host.read_text(path) or "")
        if not set(named) & set(authorities):
            continue
        if set(named) <= set(authorities):
            mine.append(path)
        else:
            shared.append(f"{path} has other clusters too")
    return tuple(mine), shared


def _is_our_etcd(host: Host, identity: Identity) -> bool:
    """Its service is ours, or it is a static pod: only then is there a certificate of a server."""
    return ours.UNIT_FILES[ours.ETCD] in identity.marked or host.exists(f"{ours.PKI}/etcd/server.crt")


def _tidy(host: Host) -> tuple[str, ...]:
    """Directories that go when they are empty by then."""
    registries = [f"{ours.CERTS_D}/{name}" for name in host.names(ours.CERTS_D)]
    return tuple(path for path in (*registries, *ours.TREES, *ours.EMPTIED) if host.exists(path))


def set_aside(host: Host) -> tuple[str, ...]:
    """Data of etcd members that earlier resets and removals kept."""
    parent = os.path.dirname(ours.ETCD_DIR)
    return tuple(
        f"{folder}/{name}"
        for folder in (ours.ETCD_DIR, parent)
        for name in host.names(folder)
        if SET_ASIDE.fullmatch(name)
    )


def _files(host: Host, identity: Identity, *, keeps_runtime: bool) -> tuple[str, ...]:
    """In the order in which they go: the one by which the host is known to be ours is the last."""
    if not identity.marked:
        return ()
    kept = ours.RUNTIME_FILES if keeps_runtime else ()
    unmarked = [path for path in ours.UNMARKED if host.exists(path)]
    mirrors = [] if keeps_runtime else _mirrors(host)
    return (*unmarked, *mirrors, *(path for path in identity.marked if path not in kept))


def _mirrors(host: Host) -> list[str]:
    """What the role containerd has written about registries."""
    found = []
    for registry in host.names(ours.CERTS_D):
        folder = f"{ours.CERTS_D}/{registry}"
        # The file with the mark after the others, so that an interrupted run finds them again.
        if ours.is_marked(host.read_text(f"{folder}/hosts.toml", ours.MARK_WITHIN)):
            found += [f"{folder}/{name}" for name in host.names(folder) if ours.MIRROR_FILE.fullmatch(name)]
    return found


def _records(host: Host) -> list[str]:
    return [f"{path} has records" for path in ours.RECORDS if host.names(path)]


def _foreign_runtime(runtime: Runtime) -> list[str]:
    names = ", ".join(runtime.others)
    return [f"containerd has containers of others ({names})"] if names else []
