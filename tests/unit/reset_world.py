# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane of ours in a directory, with programs that change it as the real ones would."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

from ansible_collections.quorum.kubeadm.plugins.module_utils import host_reset_ours as ours
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Result
from tests.unit.plugins.module_utils.fake_host import FakeHost, ok

MARK = "# Kept by quorum.kubeadm.\n"
VIP = "192.0.2.100"
CLUSTER_CA, OTHER_CA = (base64.b64encode(name).decode() for name in (b"this cluster", b"another"))
NETNS = "cni-01234567-89ab-cdef-0123-456789abcdef"
POD, SHIM, PERSON = 4001, 4002, 4003
RULES = """*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:MINE - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -j MINE
COMMIT
"""
CLEAN = """*nat
:PREROUTING ACCEPT [0:0]
:MINE - [0:0]
-A PREROUTING -j MINE
COMMIT
"""


class Killed(BaseException):
    """The run ended here."""


class ResetHost(FakeHost):
    """die: called before everything that changes the host."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.active: set[str] = set()
        self.enabled: set[str] = set()
        self.containers: list[str] = []
        self.namespaces: dict[str, list[str]] = {}
        self.links: list[dict[str, object]] = [{"ifname": "lo"}]
        self.rules = CLEAN
        self.tables: list[str] = []
        self.stubborn: set[str] = set()
        self.die: Callable[[str], None] = lambda _what: None

    def run(self, argv: list[str], timeout: float = 60.0) -> Result:
        self.calls.append(argv)
        if argv[0] not in ("systemctl", "ctr", "ip", "nft", "umount", "ipvsadm") and "iptables" not in argv[0]:
            return Result(127, "", "no such program")
        if self.changes(argv):
            self.die(" ".join(argv))
            if argv[0] in self.stubborn:
                return ok()
        answer: Result = getattr(self, f"_{argv[0].split('-')[0].replace('6', '')}")(argv)
        return answer

    def changes(self, argv: list[str]) -> bool:
        """Whether this is more than a look."""
        looks = {"show", "is-active", "ls", "-j", "list"}
        return not (looks & set(argv) or argv[0].endswith("-save"))

    def changed(self) -> list[str]:
        return [" ".join(argv) for argv in self.calls if self.changes(argv)]

    def _systemctl(self, argv: list[str]) -> Result:
        verb, names = argv[1], [word for word in argv[2:] if not word.startswith("-")]
        if verb == "show":
            return ok("\n".join(self._shown(name) for name in names))
        if verb == "is-active":
            return ok("active" if names[0] in self.active else "inactive")
        if verb in ("stop", "disable"):
            (self.active if verb == "stop" else self.enabled).difference_update(names)
        return ok()

    def _shown(self, name: str) -> str:
        load = "loaded" if self.exists(ours.UNIT_FILES[name]) or name in self.active else "not-found"
        active = "active" if name in self.active else "inactive"
        enabled = "enabled" if name in self.enabled else "disabled"
        return f"Id={name}\nNames={name}\nLoadState={load}\nActiveState={active}\nUnitFileState={enabled}\nMainPID=0\n"

    def _ctr(self, argv: list[str]) -> Result:
        if argv[1] == "namespaces":
            return ok("\n".join([ours.NAMESPACE, *self.namespaces]))
        held = self.containers if argv[2] == ours.NAMESPACE else self.namespaces[argv[2]]
        if argv[3:5] == ["containers", "rm"]:
            self.containers = [name for name in held if name not in argv[5:]]
        return ok("\n".join(held) if "ls" in argv and argv[3] == "containers" else "")

    def _ip(self, argv: list[str]) -> Result:
        if argv[1:3] == ["link", "delete"]:
            self.links = [link for link in self.links if link["ifname"] != argv[3]]
            self.write_devices()
        if argv[1:3] == ["addr", "del"]:
            for link in self.links:
                link["addr_info"] = [entry for entry in link.get("addr_info", []) if entry["local"] != VIP]
        if argv[1:3] == ["netns", "delete"]:
            Path(self.real(f"{ours.NETNS_DIR}/{argv[3]}")).unlink(missing_ok=True)
            self.umount(f"{ours.NETNS_DIR}/{argv[3]}")
        return ok(json.dumps(self.links))

    def _iptables(self, argv: list[str]) -> Result:
        if argv[0] in ("iptables-restore", "ip6tables-restore"):
            assert "-D PREROUTING" in (self.read_text(argv[-1]) or "")
            self.rules = CLEAN
        return ok(self.rules if argv[0] == "iptables-save" else "")

    def _nft(self, argv: list[str]) -> Result:
        if argv[1] == "delete":
            self.tables.remove(" ".join(argv[3:]))
        return ok("".join(f"table {name} {{\n}}\n" for name in self.tables))

    def _umount(self, argv: list[str]) -> Result:
        self.umount(argv[-1])
        return ok()

    def umount(self, path: str) -> None:
        info = (self.read_text("/proc/self/mountinfo") or "").splitlines()
        self.write("/proc/self/mountinfo", "".join(f"{line}\n" for line in info if line.split()[4] != path))

    def write_devices(self) -> None:
        names = "".join(f"{link['ifname']}: 0\n" for link in self.links)
        self.write("/proc/net/dev", f"Inter-|\n face |\n{names}")

    def lives(self, pid: int) -> bool:
        return bool((self.read_text(f"/proc/{pid}/comm") or "").strip())

    def process(self, pid: int, name: str, cgroup: str, cmdline: str = "") -> None:
        self.write(f"/proc/{pid}/comm", f"{name}\n")
        self.write(f"/proc/{pid}/cgroup", f"0::{cgroup}\n")
        self.write(f"/proc/{pid}/cmdline", cmdline)

    def kill(self, pid: int, _how: int) -> None:
        self.die(f"kill {pid}")
        # Emptied at once, so that a test which counts removals of files counts this as one.
        self.process(pid, "", "")


def kubeconfig(*authorities: str) -> str:
    return "".join(f"    certificate-authority-data: {text}\n" for text in authorities)


def blank(root: Path) -> ResetHost:
    """A machine, and what a person has on it."""
    host = ResetHost(root)
    host.write("/proc/self/cgroup", "0::/system.slice/ssh.service\n")
    host.write(
        "/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / /srv/kubelet rw - ext4 /dev/sdb rw\n"
    )
    host.write("/etc/passwd", "root:x:0:0:root:/rt:/bin/sh\nann:x:1000:1000:,,,:/people/ann:/bin/sh\n")
    host.write("/etc/cni/net.d/87-podman.conflist", '{"name": "podman"}')
    host.write("/var/lib/cni/networks/podman/10.88.0.5", "x")
    host.write("/etc/sysctl.d/99-mine.conf", "vm.swappiness = 1\n")
    host.write("/etc/haproxy/errors/400.http", "x")
    host.process(PERSON, "postgres", "/system.slice/postgres.service")
    host.links += [{"ifname": "eth0", "addr_info": [{"local": "192.0.2.21", "prefixlen": 24}]}, {"ifname": "cni00"}]
    host.write_devices()
    return host


def control_plane(root: Path) -> ResetHost:
    """With stacked etcd, a load balancer on it, pods, and everything that these bring."""
    host = blank(root)
    for path in ours.MARKED:
        if path not in ("/usr/libexec/keepalived/check-haproxy", "/etc/etcd/etcd.env", ours.UNIT_FILES[ours.ETCD]):
            host.write(path, MARK)
    host.write(ours.UNIT_FILES[ours.KEEPALIVED], f"{MARK}    virtual_ipaddress {{\n        {VIP}/32\n    }}\n")
    host.write("/etc/containerd/certs.d/registry.k8s.io/hosts.toml", MARK)
    host.write("/etc/containerd/certs.d/registry.k8s.io/ca-0.pem", "x")
    for path in ("/etc/haproxy/kube-ca.crt", "/etc/default/kubelet", f"{ours.PKI}/ca.crt",
                 f"{ours.PKI}/etcd/server.crt",
                 "/var/lib/kubelet/config.yaml", "/var/lib/kubelet/pods/p/volumes/v/f", "/var/log/pods/p/0.log",
                 "/run/flannel/subnet.env", "/var/lib/quorum-kubeadm/receipts/kubelet.json",
                 "/var/lib/etcd/member/wal/0",
                 "/etc/kubernetes/audit/policy.yaml", "/var/lib/cni/networks/cbr0/10.244.0.5",
                 "/etc/kubernetes/quorum-kubeadm.json", f"{ours.NETNS_DIR}/{NETNS}"):  # fmt: skip
        host.write(path, "x")
    host.write(f"{ours.MANIFESTS}/etcd.yaml", "    - --initial-advertise-peer-urls=https://192.0.2.21:2380\n"
               "    - --initial-cluster=cp2=https://192.0.2.22:2380,cp1=https://192.0.2.21:2380\n")  # fmt: skip
    host.write("/etc/cni/net.d/10-flannel.conflist", '{"name": "cbr0"}')
    host.write(ours.KUBELET_CONF, f"{kubeconfig(CLUSTER_CA)}users:\n- name: system:node:cp1\n")
    host.write("/rt/.kube/config", kubeconfig(CLUSTER_CA))
    host.write("/people/ann/.kube/config", kubeconfig(CLUSTER_CA, OTHER_CA))
    host.active = {ours.KUBELET, ours.CONTAINERD, ours.HAPROXY, ours.KEEPALIVED}
    host.enabled = set(host.active)
    host.containers = ["c1", "c2"]
    host.process(POD, "kube-apiserver", "/kubepods.slice/kubepods-burstable.slice/cri-containerd-c1.scope")
    host.process(SHIM, "containerd-shim", "/system.slice/containerd.service",
                 "/usr/bin/containerd-shim-runc-v2\0-namespace\0k8s.io\0-id\0c1\0")  # fmt: skip
    host.links += [{"ifname": "cni0"}, {"ifname": "veth1", "master": "cni0"}, {"ifname": "flannel.1"},
                   {"ifname": "cali0123456789a"}]  # fmt: skip
    host.links[1]["addr_info"] = [{"local": "192.0.2.21", "prefixlen": 24}, {"local": VIP, "prefixlen": 32}]
    host.write_devices()
    host.rules, host.tables = RULES, ["ip kube-proxy", "ip mine"]
    for path in ("/var/lib/kubelet/pods/p/volumes/v", f"{ours.NETNS_DIR}/{NETNS}"):
        host.write("/proc/self/mountinfo", f"{host.read_text('/proc/self/mountinfo')}9 1 8:3 / {path} rw - x x rw\n")
    return host


def files(host: ResetHost) -> set[str]:
    """Every file, whatever the time in the name of data that were set aside."""
    root = Path(host.root)
    names = {f"/{path.relative_to(root)}" for path in root.rglob("*") if path.is_file()}
    # What is in /run/quorum-kubeadm is scratch of a run, in memory, and written anew.
    names = {name for name in names if not name.startswith(("/proc/", "/run/quorum-kubeadm/"))}
    return {name.split("-removed-")[0] + "-removed" * ("-removed-" in name) for name in names}
