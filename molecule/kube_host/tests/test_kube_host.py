"""What Kubernetes needs of a host: kernel settings that hold after a reboot and hold now, packages, the name."""

from __future__ import annotations

import pytest
from testinfra.host import Host

testinfra_hosts = ["ssh://cp1", "ssh://w1"]
SYSCTLS = {
    "net.ipv4.ip_forward": 1,
    "net.bridge.bridge-nf-call-iptables": 1,
    "fs.inotify.max_user_instances": 8192,
    "kernel.panic": 10,
    "net.ipv4.tcp_keepalive_time": 600,
}


@pytest.mark.parametrize("name", SYSCTLS)
def test_kernel_setting_holds_now_and_after_a_reboot(host: Host, name: str) -> None:
    kept = host.file("/etc/sysctl.d/99-quorum-kubeadm.conf")
    assert f"{name} = {SYSCTLS[name]}" in kept.content_string
    assert host.sysctl(name) == SYSCTLS[name]


def test_kernel_modules_are_loaded_at_boot(host: Host) -> None:
    names = host.file("/etc/modules-load.d/quorum-kubeadm.conf").content_string.split()
    assert {"overlay", "br_netfilter"} <= set(names)


def test_only_root_writes_what_was_written(host: Host) -> None:
    for path in ("/etc/sysctl.d/99-quorum-kubeadm.conf", "/etc/modules-load.d/quorum-kubeadm.conf"):
        found = host.file(path)
        assert (found.user, found.group, found.mode) == ("root", "root", 0o644)


@pytest.mark.parametrize("command", ["conntrack", "ethtool", "socat", "nft", "iptables"])
def test_tools_that_kubeadm_and_kube_proxy_call(host: Host, command: str) -> None:
    assert host.exists(command)


def test_machine_has_its_inventory_name(host: Host) -> None:
    assert host.check_output("hostname") == host.backend.get_hostname()
