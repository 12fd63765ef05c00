# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of its own for node_reset: network, mounts and processes are private, and what is written is thrown away.

Run with `unshare` as root; prints what it found as JSON. Interfaces, rules, mounts and files are real. systemd and
containerd are not there: small programs stand in for them.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.integration.support import ROOT, run_module

UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--propagation", "private")
VIP = "192.0.2.100"
OUR_NETNS = "cni-01234567-89ab-cdef-0123-456789abcdef"
POD_CHAIN, PODMAN_CHAIN = "CNI-0123456789abcdef01234567", "CNI-89abcdef0123456789abcdef"
MARK = "# Kept by quorum.kubeadm.\n"
UNITS = ("kubelet.service", "containerd.service", "haproxy.service", "keepalived.service", "etcd.service")
SYSTEMCTL = """#!/bin/sh
units=/run/units
verb=$1; shift
case $verb in
show)
    for unit; do
        case $unit in -*) continue ;; esac
        active=inactive enabled=disabled
        [ -e $units/$unit.active ] && active=active
        [ -e $units/$unit.enabled ] && enabled=enabled
        printf 'Id=%s\\nNames=%s\\nLoadState=loaded\\nActiveState=%s\\nUnitFileState=%s\\nMainPID=0\\n\\n' \\
            "$unit" "$unit" "$active" "$enabled"
    done ;;
is-active) [ -e "$units/$2.active" ] && echo active || echo inactive ;;
stop) shift; for unit; do rm -f "$units/$unit.active"; done ;;
disable) shift; for unit; do rm -f "$units/$unit.enabled"; done ;;
esac
"""
CTR = """#!/bin/sh
held=/run/containers
case "$*" in
"namespaces ls -q") echo k8s.io ;;
"-n k8s.io containers ls -q") cat $held ;;
"-n k8s.io containers rm "*) : > $held ;;
esac
"""
RULES = f"""*nat
:KUBE-SERVICES - [0:0]
:KUBE-MARK-MASQ - [0:0]
:FLANNEL-POSTRTG - [0:0]
:CNI-HOSTPORT-DNAT - [0:0]
:{POD_CHAIN} - [0:0]
:MINE-KUBE-LIKE - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -p tcp -m tcp --dport 8080 -j MINE-KUBE-LIKE
-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
-A POSTROUTING -s 10.244.0.5/32 -m comment --comment "name: \\"cbr0\\" id: \\"c1\\"" -j {POD_CHAIN}
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j KUBE-MARK-MASQ
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A MINE-KUBE-LIKE -p tcp -j REDIRECT --to-ports 8081
COMMIT
*filter
:KUBE-FIREWALL - [0:0]
-A INPUT -m comment --comment "a person's own" -s 203.0.113.0/24 -j DROP
-A INPUT -j KUBE-FIREWALL
COMMIT
"""
PODMAN = f"""*nat
:{PODMAN_CHAIN} - [0:0]
-A POSTROUTING -s 10.88.0.5/32 -m comment --comment "name: \\"podman\\" id: \\"c2\\"" -j {PODMAN_CHAIN}
COMMIT
"""


def must(*argv: str, text: str | None = None) -> str:
    """The program's output."""
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)}: {done.stderr}")
    return done.stdout


def write(path: str, text: str = "", mode: int = 0o644) -> None:
    """A file with its directories."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    os.chmod(path, mode)


def private() -> None:
    """Nothing that is written from here on reaches the machine."""
    must("mount", "-t", "tmpfs", "tmpfs", "/mnt")
    for name in ("etc", "var"):
        upper, work = f"/mnt/{name}", f"/mnt/{name}.work"
        os.mkdir(upper)
        os.mkdir(work)
        must("mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/{name},upperdir={upper},workdir={work}", f"/{name}")
    must("mount", "-t", "tmpfs", "tmpfs", "/run")
    must("mount", "-t", "tmpfs", "tmpfs", "/usr/local/sbin")
    os.mkdir("/run/netns")
    write("/usr/local/sbin/systemctl", SYSTEMCTL, 0o755)
    write("/usr/local/sbin/ctr", CTR, 0o755)
    must("ip", "link", "set", "lo", "up")
    write("/etc/passwd", Path("/etc/passwd").read_text() + "ann:x:2000:2000::/var/lib/ann:/bin/sh\n")
    write("/etc/passwd", Path("/etc/passwd").read_text() + "bob:x:2001:2001::/var/lib/bob:/bin/sh\n")


def kubeconfig(*authorities: str) -> str:
    """With the cluster's name as its CA."""
    lines = [
        f"- cluster:\n    certificate-authority-data: {base64.b64encode(name.encode()).decode()}"
        for name in authorities
    ]
    return "\n".join(["clusters:", *lines, "users:", "- name: system:node:cp1", ""])


def files() -> None:
    """A control plane with a load balancer and an etcd of its own, and what a person has beside it."""
    for path in ("/etc/systemd/system/kubelet.service", "/etc/systemd/system/containerd.service",
                 "/etc/systemd/system/etcd.service", "/etc/containerd/config.toml", "/etc/etcd/etcd.env",
                 "/etc/haproxy/haproxy.cfg", "/etc/keepalived/check-haproxy", "/etc/modules-load.d/quorum-kubeadm.conf",
                 "/etc/sysctl.d/99-quorum-kubeadm.conf", "/etc/containerd/certs.d/registry.k8s.io/hosts.toml",
                 "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"):  # fmt: skip
        write(path, MARK)
    write("/etc/keepalived/keepalived.conf", f"{MARK}    virtual_ipaddress {{\n        {VIP}/32\n    }}\n")
    for path in ("/etc/haproxy/kube-ca.crt", "/etc/default/kubelet", "/etc/kubernetes/pki/ca.crt",
                 "/etc/kubernetes/pki/etcd/server.crt", "/etc/kubernetes/manifests/etcd.yaml",
                 "/etc/kubernetes/quorum-kubeadm.json", "/var/lib/kubelet/config.yaml", "/var/log/pods/p/0.log",
                 "/var/lib/quorum-kubeadm/receipts/kubelet.json", "/var/lib/cni/networks/cbr0/10.244.0.5",
                 f"/var/lib/cni/results/cbr0-{'a' * 64}-eth0", "/var/lib/etcd/member/snap/db"):  # fmt: skip
        write(path, "x")
    write("/etc/kubernetes/kubelet.conf", kubeconfig("ours"), 0o600)
    write("/etc/cni/net.d/10-flannel.conflist", '{"name": "cbr0"}')
    write("/var/lib/ann/.kube/config", kubeconfig("ours"))
    write("/run/containers", "c1\nc2\n")
    for unit in UNITS:
        write(f"/run/units/{unit}.active")
        write(f"/run/units/{unit}.enabled")
    # Not ours.
    write("/etc/cni/net.d/87-podman.conflist", '{"name": "podman"}')
    write("/var/lib/cni/networks/podman/10.88.0.5", "x")
    write("/var/lib/bob/.kube/config", kubeconfig("ours", "another"))
    write("/var/lib/quorum-kubeadm/bundle.json", "{}")
    write("/etc/haproxy/errors/400.http", "x")
    write("/etc/kubernetes/notes.txt", "x")


def network() -> None:
    """Interfaces, namespaces, rules."""
    must("ip", "link", "add", "cni0", "type", "bridge")
    must("ip", "link", "add", "veth1", "type", "veth", "peer", "name", "pod1")
    must("ip", "link", "set", "veth1", "master", "cni0")
    must("ip", "link", "add", "cali0123456789a", "type", "veth", "peer", "name", "pod2")
    must("ip", "link", "add", "flannel.1", "type", "bridge")
    # Names that contain ours.
    for name in ("cni00", "mycni0", "flannel.10", "cali-mine", "docker0"):
        must("ip", "link", "add", name, "type", "bridge")
    must("ip", "addr", "add", f"{VIP}/32", "dev", "docker0")
    must("ip", "addr", "add", "192.0.2.10/24", "dev", "docker0")
    for name in (OUR_NETNS, "mine", "cni-mine"):
        must("ip", "netns", "add", name)
    must("iptables-restore", "--noflush", text=RULES)
    must("ip6tables", "-t", "mangle", "-N", "KUBE-KUBELET-CANARY")
    must("nft", "add", "table", "ip", "kube-proxy")
    must("nft", "add", "table", "ip", "kube-proxy-mine")


def legacy() -> bool:
    """Chains in the older tables, where the kernel has them."""
    done = subprocess.run(["iptables-legacy", "-t", "nat", "-N", "KUBE-LEGACY"], capture_output=True, check=False)
    return done.returncode == 0


def volumes() -> None:
    """One volume in another, one with a blank in its name, one bound from a person's directory; and others' mounts."""
    for path in ("/var/lib/kubelet/pods/p/volumes/a", "/var/lib/kubelet/pods/p/volumes/a/b c", "/var/lib/other"):
        os.makedirs(path)
        must("mount", "-t", "tmpfs", "tmpfs", path)
    write("/var/lib/people/data", "precious")
    os.makedirs("/var/lib/kubelet/pods/p/volumes/bound")
    must("mount", "--bind", "/var/lib/people", "/var/lib/kubelet/pods/p/volumes/bound")


def node_reset(check: bool = False, **options: Any) -> dict[str, Any]:
    """The module, as a playbook calls it."""
    args = {"name": "cp1", "confirm": "cp1", "grace_seconds": 0.1, **options}
    return run_module("node_reset", args, check=check)


def seen() -> dict[str, Any]:
    """What there is."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    saves = [must(tool) for tool in ("iptables-save", "ip6tables-save")]
    with contextlib.suppress(SystemExit, OSError):
        saves.append(must("iptables-legacy-save"))
    # The upper layers hold what was written, by us and by the reset.
    written = [str(path)[len("/mnt") :] for top in ("/mnt/etc", "/mnt/var") for path in Path(top).rglob("*")
               if path.is_file()]  # fmt: skip
    written += [str(path) for path in Path("/run/units").glob("*")]
    return {
        "links": [link["ifname"] for link in json.loads(must("ip", "-j", "link"))],
        "addresses": sorted(re.findall(r"inet (\S+)", must("ip", "addr"))),
        "netns": sorted(os.listdir("/run/netns")),
        "chains": sorted({name for text in saves for name in re.findall(r"^:(\S+) -", text, re.MULTILINE)}),
        "rules": sorted(line for text in saves for line in text.splitlines() if line.startswith("-A")),
        "tables": [line for line in must("nft", "list", "tables").splitlines() if "kube" in line],
        "mounts": sorted(path for path in mounts if path.startswith(("/var/lib/kubelet/", "/var/lib/other"))),
        "files": sorted(written),
    }


def whole(podman: bool) -> dict[str, Any]:
    """A reset that is refused, told, done, and done again."""
    files()
    network()
    has_legacy = legacy()
    if podman:
        must("iptables-restore", "--noflush", text=PODMAN)
    volumes()
    told: dict[str, Any] = {"before": seen(), "legacy": has_legacy}
    told["wrong"] = node_reset(confirm="cp")
    told["unknown"] = node_reset()
    told["check"] = node_reset(check=True, force=True)
    told["refused_or_told"] = seen()
    told["done"] = node_reset(force=True)
    told["after"] = seen()
    told["again"] = node_reset()
    return told


def blank() -> dict[str, Any]:
    """A machine that nobody has touched."""
    before = seen()
    done = node_reset()
    return {"before": before, "done": done, "after": seen()}


def play(inventory: str, *words: str) -> dict[str, Any]:
    """playbooks/reset.yml, with this machine as cp1."""
    write("/run/inventory.yml", inventory)
    argv = [
        str(Path(sys.executable).parent / "ansible-playbook"),
        "-i",
        "/run/inventory.yml",
        "playbooks/reset.yml",
        *words,
    ]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": "/run/ansible", "ANSIBLE_SSH_RETRIES": "0",
                   "ANSIBLE_TIMEOUT": "2", "ANSIBLE_HOST_KEY_CHECKING": "False"}  # fmt: skip
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return {"code": done.returncode, "out": done.stdout + done.stderr}


HERE = f"{{ansible_connection: local, ansible_python_interpreter: {sys.executable}}}"
# Nobody listens on this port of a network that has nobody else.
GONE = "{ansible_host: 127.0.0.1, ansible_port: 9}"
ALONE = f"all:\n  vars: {{kube_vip: {VIP}}}\n  children:\n    kube_control_plane: {{hosts: {{cp1: {HERE}}}}}\n"
WITH_ONE_THAT_IS_GONE = f"{ALONE}    kube_node: {{hosts: {{w1: {GONE}}}}}\n"


def playbook() -> dict[str, Any]:
    """Asked wrongly, in check mode, for one, and for all of which one does not answer."""
    files()
    network()
    volumes()
    confirmed = ("-e", "reset_confirm=kubernetes")
    told: dict[str, Any] = {"before": seen()}
    told["unnamed"] = play(WITH_ONE_THAT_IS_GONE, *confirmed)
    told["misspelt"] = play(WITH_ONE_THAT_IS_GONE, "-e", "reset_hosts=cp", *confirmed)
    told["unconfirmed"] = play(WITH_ONE_THAT_IS_GONE, "-e", "reset_hosts=cp1")
    # Without its client certificates nobody can say whether etcd needs this host.
    told["needed"] = play(WITH_ONE_THAT_IS_GONE, "-e", "reset_hosts=cp1", *confirmed)
    told["check"] = play(WITH_ONE_THAT_IS_GONE, "-e", "reset_hosts=all", *confirmed, "--check")
    told["untouched"] = seen()
    told["all"] = play(WITH_ONE_THAT_IS_GONE, "-e", "reset_hosts=all", *confirmed)
    told["after"] = seen()
    told["again"] = play(ALONE, "-e", "reset_hosts=cp1", *confirmed)
    return told


def main(argv: Sequence[str]) -> None:
    """Print what a scenario found."""
    private()
    scenarios = {"whole": lambda: whole(False), "podman": lambda: whole(True), "blank": blank,
                 "playbook": playbook}  # fmt: skip
    print(json.dumps(scenarios[argv[0]]()))


if __name__ == "__main__":
    main(sys.argv[1:])
