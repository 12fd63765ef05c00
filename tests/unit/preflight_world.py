"""A healthy inventory and its hosts' facts, in node_info's shape, for tests to break one thing at a time."""

from __future__ import annotations

import copy
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.findings import Finding
from ansible_collections.quorum.kubeadm.plugins.module_utils.preflight import Review, review
from ansible_collections.quorum.kubeadm.plugins.module_utils.preflight_software import HOST_PACKAGES, LB_PACKAGES

GIB = 1 << 30
VIP = "10.0.0.100"
CA = "-----BEGIN CERTIFICATE-----\nb3Vycw==\n-----END CERTIFICATE-----\n"
FOREIGN_CA = "-----BEGIN CERTIFICATE-----\ndGhlaXJz\n-----END CERTIFICATE-----\n"
PLANES, WORKERS, BALANCERS = ("cp1", "cp2", "cp3"), ("w1", "w2"), ("lb1", "lb2")
MACHINES = ("etcd1", "etcd2", "etcd3")
ETCD_CA = "-----BEGIN CERTIFICATE-----\nZXRjZA==\n-----END CERTIFICATE-----\n"
ADDRESSES = {
    "lb1": "10.0.0.11",
    "lb2": "10.0.0.12",
    "cp1": "10.0.0.21",
    "cp2": "10.0.0.22",
    "cp3": "10.0.0.23",
    "w1": "10.0.0.41",
    "w2": "10.0.0.42",
}
CLUSTER = {
    "kube_version": "1.36.3",
    "kube_vip": VIP,
    "kube_vip_interface": "",
    "kube_api_port": 6443,
    "kube_api_bind_port": 6443,
    "kube_pod_cidr": "10.244.0.0/16",
    "kube_service_cidr": "10.96.0.0/12",
    "kube_dns_domain": "cluster.local",
    "kube_cluster_name": "kubernetes",
    "kube_image_repository": "registry.k8s.io",
    "kube_cni": "flannel",
    "kube_kubeconfig": "/srv/inventory/.kube/config",
    "kube_source": "bundle",
    "kube_bundle_dir": "/srv/bundles/1.36.3",
    "kube_api_via": "localhost",
    "kube_ignore_preflight_errors": [],
}
PODS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")


def disk(free_gib: float = 40, total_gib: float = 100, writable: bool = True) -> dict[str, Any]:
    return {
        "mount": "/",
        "total_bytes": int(total_gib * GIB),
        "free_bytes": int(free_gib * GIB),
        "writable": writable,
    }


def blank_node(name: str, address: str) -> dict[str, Any]:
    """A fresh machine's facts."""
    number = int(address.rsplit(".", 1)[-1])
    return {
        "hostname": name,
        "machine_id": f"{number:032x}",
        "product_uuid": f"00000000-0000-4000-8000-{number:012x}",
        "boot_id": f"11111111-0000-4000-8000-{number:012x}",
        "container": None,
        "python": "3.13.5",
        "time": {"epoch": 1000.0, "synchronized": True},
        "os": {"id": "debian", "version": "13", "family": "Debian", "arch": "x86_64", "kernel": "6.12.0"},
        "cpu_count": 4,
        "memory_mib": 4096,
        "swap": [],
        "cgroup": "v2",
        "init": "systemd",
        "disks": {path: disk() for path in ("/var/lib/etcd", "/var/lib/kubelet", "/var/lib/containerd", "/etc")},
        "addresses": [
            {"interface": "lo", "address": "127.0.0.1", "prefix": 8, "family": 4},
            {"interface": "eth0", "address": address, "prefix": 24, "family": 4},
        ],
        "default_route": {"interface": "eth0", "address": address, "gateway": "10.0.0.1"},
        "macs": {"eth0": f"02:00:00:00:00:{number:02x}"},
        "listening": [],
        "packages": dict.fromkeys((*HOST_PACKAGES["Debian"], *LB_PACKAGES), "1"),
        "kernel": {
            "features": dict.fromkeys(("overlay", "br_netfilter", "vxlan", "nf_conntrack", "ip_tables_or_nft"), True),
            "sysctls": {},
        },
        "units": {},
        "kubernetes": {
            "kubelet_version": None,
            "kubeadm_version": None,
            "containerd_version": None,
            "ca_pem": None,
            "etcd_ca_pem": None,
            "kubelet_conf": None,
            "admin_conf": False,
            "bootstrap_conf": False,
            "manifests": {},
            "marker": None,
            "etcd_data": "absent",
            "pods_dir": "absent",
            "api": {},
        },
        "arp": None,
        "vrrp": [],
    }


class World:
    """hosts and nodes are plain dicts that a test changes before it asks."""

    def __init__(self) -> None:
        self.cluster: dict[str, Any] = dict(CLUSTER)
        self.rules: dict[str, Any] = {"min_free": {"/var/lib/etcd": 2048, "/var/lib/containerd": 4096}}
        self.ca_pem = ""
        self.api_version = ""
        self.limit = ""
        self.hosts: dict[str, dict[str, Any]] = {}
        self.nodes: dict[str, dict[str, Any]] = {}
        groups = {"lb": BALANCERS, "control_plane": PLANES, "worker": WORKERS}
        for group, names in groups.items():
            for name in names:
                self.add(name, group, ADDRESSES[name])

    def add(self, name: str, group: str, address: str) -> None:
        self.hosts[name] = {
            "groups": [group],
            "ansible_host": address,
            "in_play": True,
            "sent": 999.9,
            "received": 1000.1,
        }
        self.nodes[name] = blank_node(name, address)

    def with_etcd(self, count: int = 3) -> World:
        """Blank machines of an external etcd besides."""
        for number in range(1, count + 1):
            self.add(f"etcd{number}", "etcd", f"10.0.0.{60 + number}")
        return self

    def member(self, host: str, **changed: Any) -> dict[str, Any]:
        """One row of an etcd's members."""
        address = self.hosts[host]["ansible_host"]
        return {
            "id": f"{int(address.rsplit('.', 1)[-1]):x}",
            "name": host,
            "peer_urls": [f"https://{address}:2380"],
            "client_urls": [f"https://{address}:2379"],
            "learner": False,
            "healthy": True,
            "leader": host.endswith("1"),
            "version": "3.6.16",
            **changed,
        }

    def etcd_runs(
        self, *names: str, empty: bool | None = False, members: list[dict[str, Any]] | None = None, **changed: Any
    ) -> World:
        """On these machines a member runs and tells of its cluster; by default they are all of its members."""
        told = {
            "cluster_id": "c1",
            "linearizable": True,
            "empty": empty,
            "members": members or [self.member(name) for name in names],
            **changed,
        }
        for name in names:
            if name in self.nodes:
                self.kubernetes(name).update(etcd_ca_pem=ETCD_CA, etcd_data="present")
                self.nodes[name]["etcd"] = {"etcd": told}
        return self

    def external(self, *names: str) -> World:
        """The control planes use this etcd."""
        servers = [f"https://{self.hosts[name]['ansible_host']}:2379" for name in names]
        for name in PLANES:
            self.kubernetes(name).update(etcd_servers=servers, etcd_ca_pem=ETCD_CA, etcd_data="absent")
            self.kubernetes(name)["manifests"].pop("etcd", None)
        return self

    def kubernetes(self, name: str) -> dict[str, Any]:
        facts: dict[str, Any] = self.nodes[name]["kubernetes"]
        return facts

    def drop(self, name: str) -> None:
        """Out of the inventory."""
        del self.hosts[name]
        self.nodes.pop(name, None)

    def outside(self, *names: str) -> None:
        """Outside of --limit."""
        self.limit = "some"
        for name in names:
            self.hosts[name]["in_play"] = False
            self.nodes.pop(name, None)

    def unreachable(self, *names: str) -> None:
        for name in names:
            self.hosts[name] |= {"unreachable": True, "problem": "no route to host"}
            self.nodes.pop(name, None)

    def only(self, *names: str) -> None:
        """--limit to these."""
        self.outside(*(name for name in self.hosts if name not in names))

    def node_of(self, name: str, ca_pem: str = CA, version: str = "1.36.3") -> None:
        """The host is a node of the cluster."""
        plane = "control_plane" in self.hosts[name]["groups"]
        address = self.hosts[name]["ansible_host"]
        server = f"https://{address if plane else VIP}:6443"
        self.kubernetes(name).update(
            kubelet_version=version,
            kubeadm_version=version,
            containerd_version="2.4.2",
            ca_pem=ca_pem,
            kubelet_conf={"server": server, "ca_pem": ca_pem},
        )
        if plane:
            images = {pod: f"registry.k8s.io/{pod}:v{version}" for pod in PODS}
            self.kubernetes(name).update(
                etcd_ca_pem=ca_pem,
                admin_conf=True,
                manifests={**images, "etcd": "registry.k8s.io/etcd:3.6.16-0"},
                etcd_data="present",
            )

    def answers(self, *addresses: str, status: int | None = 200) -> None:
        """Every host of the play asks every address; these answer."""
        every = {VIP, *(host["ansible_host"] for host in self.hosts.values() if "control_plane" in host["groups"])}
        for name in self.nodes:
            api = self.kubernetes(name)["api"]
            for address in sorted(every | set(addresses)):
                silent = {"status": None, "error": "refused", "latency_ms": None}
                answer = {"status": status, "error": None, "latency_ms": 3}
                api.setdefault(f"https://{address}:6443", silent)
                if address in addresses:
                    api[f"https://{address}:6443"] = answer

    def running(self, *names: str, vip: bool = True) -> World:
        """These hosts are the cluster, and its control planes answer."""
        for name in names:
            self.node_of(name)
        live = [self.hosts[name]["ansible_host"] for name in names if "control_plane" in self.hosts[name]["groups"]]
        self.answers(*live, *([VIP] if vip else []))
        return self

    def reordered(self, order: list[str]) -> World:
        other = copy.deepcopy(self)
        other.hosts = {name: other.hosts[name] for name in order}
        other.nodes = {name: other.nodes[name] for name in order if name in other.nodes}
        return other

    def ask(self) -> Review:
        return review(
            {
                "cluster": self.cluster,
                "hosts": self.hosts,
                "rules": self.rules,
                "inventory": "hosts.yml",
                "limit": self.limit,
                "ca_pem": self.ca_pem,
                "api_version": self.api_version,
            },
            self.nodes,
        )

    def findings(self, check: str) -> list[Finding]:
        """What one check found."""
        return [finding for finding in self.ask().findings if finding.check == check]

    def only_finding(self, check: str, level: str = "fatal") -> Finding:
        """The one thing that a check found; a test fails when it is none or several, or of another level."""
        found = self.findings(check)
        assert len(found) == 1, found
        assert found[0].level == level, found
        assert found[0].found, found
        assert found[0].next_step, found
        return found[0]


def blank() -> World:
    """Seven blank machines."""
    return World()


def existing() -> World:
    """The same seven as a cluster."""
    return World().running(*PLANES, *WORKERS)


def external() -> World:
    """The cluster with an etcd of three machines of its own."""
    return existing().with_etcd().external(*MACHINES).etcd_runs(*MACHINES)
