# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What on a host is ours: exact names, and no pattern that another's thing could match."""

from __future__ import annotations

import re

# Every file that the roles write and a person could have had before carries it in its first lines.
MARK = re.compile(r"kept by quorum\.kubeadm\.", re.IGNORECASE)
MARK_WITHIN = 300

KUBELET, CONTAINERD, ETCD = "kubelet.service", "containerd.service", "etcd.service"
HAPROXY, KEEPALIVED = "haproxy.service", "keepalived.service"
# A unit is ours when this file is. The file goes when the unit is stopped, never before.
UNIT_FILES = {
    KUBELET: "/etc/systemd/system/kubelet.service",
    KEEPALIVED: "/etc/keepalived/keepalived.conf",
    HAPROXY: "/etc/haproxy/haproxy.cfg",
    ETCD: "/etc/systemd/system/etcd.service",
    CONTAINERD: "/etc/systemd/system/containerd.service",
}
RUNTIME_FILES = (UNIT_FILES[CONTAINERD], "/etc/containerd/config.toml")
CERTS_D = "/etc/containerd/certs.d"
MIRROR_FILE = re.compile(r"hosts\.toml|ca-\d+\.pem")
# Removed when they carry the mark. The last one goes last: while it is there, the host is known to be ours.
LAST = "/etc/sysctl.d/99-quorum-kubeadm.conf"
MARKED = (
    "/etc/keepalived/check-haproxy",
    "/usr/libexec/keepalived/check-haproxy",
    UNIT_FILES[KEEPALIVED],
    UNIT_FILES[HAPROXY],
    "/etc/etcd/etcd.env",
    UNIT_FILES[ETCD],
    "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf",
    UNIT_FILES[KUBELET],
    *RUNTIME_FILES,
    "/etc/modules-load.d/quorum-kubeadm.conf",
    LAST,
)
# Ours by name or by the program that reads them, without a mark.
UNMARKED = ("/etc/haproxy/kube-ca.crt", "/etc/etcd/initial.env", "/etc/default/kubelet")

ETC = "/etc/kubernetes"
MANIFESTS, PKI = f"{ETC}/manifests", f"{ETC}/pki"
KUBELET_DIR, ETCD_DIR, CNI_DIR, CNI_STATE = "/var/lib/kubelet", "/var/lib/etcd", "/etc/cni/net.d", "/var/lib/cni"
KUBELET_CONF = f"{ETC}/kubelet.conf"
CONFIGS = (
    f"{ETC}/admin.conf",
    f"{ETC}/super-admin.conf",
    f"{ETC}/controller-manager.conf",
    f"{ETC}/scheduler.conf",
    f"{ETC}/bootstrap-kubelet.conf",
    KUBELET_CONF,
    f"{ETC}/quorum-kubeadm.json",
)
# The static pods go first: a kubelet that somebody starts meanwhile then starts nothing. The certificates go last: by
# them the next run knows whose the rest is.
TREES = (
    MANIFESTS,
    KUBELET_DIR,
    "/var/log/pods",
    "/var/log/containers",
    "/run/flannel",
    "/run/calico",
    "/var/lib/calico",
    "/run/cilium",
    "/var/lib/quorum-kubeadm/receipts",
    "/var/lib/quorum-kubeadm/manifests",
    f"{ETC}/tmp",  # noqa: S108 - kubeadm keeps in it what an upgrade replaces
    f"{ETC}/audit",
    f"{ETC}/encryption",
    PKI,
)
# Removed when nothing is in them any more.
EMPTIED = (
    "/etc/systemd/system/kubelet.service.d",
    "/etc/etcd",
    CERTS_D,
    "/etc/containerd",
    CNI_DIR,
    "/etc/cni",
    f"{CNI_STATE}/networks",
    f"{CNI_STATE}/results",
    CNI_STATE,
    ETC,
    ETCD_DIR,
)
# Records of what people did, which outlive the machine's role.
RECORDS = ("/var/log/kubernetes/audit", "/var/backups/etcd")

# Network configurations that pod networks bring, and the names of the networks in them.
CNI_FILES = ("10-flannel.conflist", "10-calico.conflist", "calico-kubeconfig", "05-cilium.conflist", "05-cilium.conf")
NETWORKS = ("cbr0", "k8s-pod-network", "cilium")
LINKS = (
    "cni0", "flannel.1", "flannel-v6.1", "flannel-wg", "flannel-wg-v6", "kube-ipvs0", "nodelocaldns",
    "vxlan.calico", "vxlan-v6.calico", "wireguard.cali", "wg-v6.cali",
    "cilium_host", "cilium_net", "cilium_vxlan", "cilium_geneve", "lxc_health",
)  # fmt: skip
# A pod's end of calico and of cilium: a prefix and a hash of fixed length.
POD_LINKS = re.compile(r"cali[0-9a-f]{11}|lxc[0-9a-f]{12}")
BRIDGE, IPVS_LINK = "cni0", "kube-ipvs0"
CHAINS = re.compile(r"(?:KUBE-|FLANNEL-|cali-|CILIUM_|OLD_CILIUM_)[\w-]+")
CNI_POD_CHAIN = re.compile(r"CNI-(?:[0-9a-f]{24}|(?:DN|SN)-[0-9a-z]+)")
CNI_SHARED_CHAIN = re.compile(r"CNI-(?:HOSTPORT-(?:DNAT|SNAT|MASQ|SETMARK)|FORWARD|ADMIN)")
NFT_TABLES = ("ip kube-proxy", "ip6 kube-proxy", "ip flannel-ipv4", "ip6 flannel-ipv6")
NETNS_DIR = "/run/netns"
NETNS = re.compile(r"cni-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Below these nothing but a pod's volumes and containers is mounted.
MOUNTS = (
    f"{KUBELET_DIR}/",
    "/run/containerd/io.containerd.runtime.v2.task/k8s.io/",
    "/run/containerd/io.containerd.grpc.v1.cri/sandboxes/",
)
NAMESPACE = "k8s.io"
POD_CGROUP = re.compile(r"(?:^|/)kubepods(?:\.slice|[-/]|$)")
PROGRAMS = ("kubelet", "kube-apiserver", "kube-controller", "kube-scheduler", "kube-proxy", "flanneld")
PORTS = (6443, 10250, 2379, 2380)


def is_marked(text: str | None) -> bool:
    """Whether a file says itself that we keep it."""
    return bool(text and MARK.search(text[:MARK_WITHIN]))


def is_link(name: str) -> bool:
    """Whether a network interface is one that a pod network or kube-proxy makes."""
    return name in LINKS or bool(POD_LINKS.fullmatch(name))


def is_pod(cgroups: str) -> bool:
    """Whether /proc/PID/cgroup is that of a process in a pod: the kubelet's own part of the tree."""
    return any(POD_CGROUP.search(line.split(":", 2)[-1]) for line in cgroups.splitlines())


def is_shim(cmdline: str) -> bool:
    """Whether this is containerd's keeper of a pod."""
    words = cmdline.split("\0")
    pairs = zip(words, words[1:])
    return words[0].rpartition("/")[2].startswith("containerd-shim") and ("-namespace", NAMESPACE) in pairs


def is_mount(path: str) -> bool:
    """Whether a pod's volume, or a part of its container, is mounted there."""
    return path.startswith(MOUNTS) or bool(
        path.startswith(f"{NETNS_DIR}/") and NETNS.fullmatch(path[len(NETNS_DIR) + 1 :])
    )
