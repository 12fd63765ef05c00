# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The second look names whatever has stayed, and nothing of others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import host_reset_ours as ours
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_leftovers import leftovers
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_reset_look import look
from tests.unit.reset_world import NETNS, RULES, VIP, ResetHost, blank, control_plane, kubeconfig

TCP = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def listen(host: ResetHost, port: int) -> None:
    host.write("/proc/net/tcp", f"{TCP}   0: 00000000:{port:04X} 00000000:0000 0A 00:00 00:00 0 0 0 77\n")


def hold_vip(host: ResetHost) -> None:
    host.links[1]["addr_info"] = [{"local": VIP, "prefixlen": 32}]


def bridge(host: ResetHost) -> None:
    host.links.append({"ifname": "cni0"})
    host.write_devices()


def mount(host: ResetHost) -> None:
    host.write("/proc/self/mountinfo", "9 1 8:3 / /var/lib/kubelet/pods/p/v rw - x x rw\n")


def rules(host: ResetHost) -> None:
    host.rules = RULES


CASES: dict[str, Callable[[ResetHost], object]] = {
    "interface: cni0": bridge,
    f"VIP: {VIP}/32 on eth0": hold_vip,
    f"network namespace: {NETNS}": lambda host: host.write(f"{ours.NETNS_DIR}/{NETNS}", ""),
    "iptables chain: KUBE-SERVICES": rules,
    "nftables table: ip kube-proxy": lambda host: host.tables.append("ip kube-proxy"),
    "service: kubelet.service": lambda host: host.active.add(ours.KUBELET),
    "process: kube-apiserver (9)": lambda host: host.process(9, "kube-apiserver", "/system.slice/x"),
    "process: pause (9)": lambda host: host.process(9, "pause", "/kubepods.slice/x"),
    "process: shim (9)": lambda host: host.process(9, "shim", "/", "containerd-shim-runc-v2\0-namespace\0k8s.io\0"),
    "listening port: 6443 (a process that cannot be seen)": lambda host: listen(host, 6443),
    "mount: /var/lib/kubelet/pods/p/v": mount,
    "file: /etc/cni/net.d/10-flannel.conflist": lambda host: host.write("/etc/cni/net.d/10-flannel.conflist", "{}"),
    "file: /rt/.kube/config": lambda host: host.write("/rt/.kube/config", kubeconfig()),
    "file: /etc/kubernetes/pki": lambda host: host.write("/etc/kubernetes/pki/ca.key", "x"),
    "file: /var/lib/etcd/member": lambda host: host.write("/var/lib/etcd/member/snap/db", "x"),
    f"file: {ours.LAST}": lambda host: host.write(ours.LAST, "# Kept by quorum.kubeadm.\n"),
}


@pytest.mark.parametrize("words", CASES)
def test_what_stays_is_named(words: str, tmp_path: Path) -> None:
    before = look(control_plane(tmp_path / "before"))
    host = blank(tmp_path / "after")
    assert leftovers(host, before, [6443]) == []
    CASES[words](host)
    assert leftovers(host, before, [6443]) == [words]


def test_of_many_some_are_named(tmp_path: Path) -> None:
    host = blank(tmp_path)
    for number in range(9):
        host.process(9000 + number, "pause", "/kubepods.slice/x")
    (found,) = leftovers(host, look(host), [])
    assert found.endswith("pause (9004) and 4 more")


def test_what_listened_before_and_is_not_ours_may_listen(tmp_path: Path) -> None:
    host = blank(tmp_path)
    host.active.add(ours.ETCD)
    host.process(9, "etcd", "/system.slice/etcd.service")
    Path(host.real("/proc/9/fd")).mkdir()
    Path(host.real("/proc/9/fd/3")).symlink_to("socket:[77]")
    listen(host, 2379)
    assert leftovers(host, look(host), [2379]) == []
    host.active.clear()
    assert leftovers(host, look(host), [2379]) == ["listening port: 2379 (etcd)"]
