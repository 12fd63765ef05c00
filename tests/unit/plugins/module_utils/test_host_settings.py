"""Live settings: modules, sysctls, swap, hostname."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import host_settings as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Result
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_kernel import Kernel, sysctl_path
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_settings import Setting
from tests.unit.plugins.module_utils.fake_host import FakeHost, ok

RELEASE = "6.1.0-test"
FORWARD = "/proc/sys/net/ipv4/ip_forward"
FSTAB = """# <file system> <mount point> <type>
UUID=1 / ext4 errors=remount-ro 0 1
/dev/sda2 none swap sw 0 0
# /dev/sdb1 none swap sw 0 0
/swapfile\tswap\tswap defaults 0 0
/data/swap /mnt ext4 defaults 0 0
"""


def kernel(host: FakeHost) -> Kernel:
    host.write("/proc/filesystems", "nodev\toverlay\n")
    host.write(f"/lib/modules/{RELEASE}/modules.dep", "kernel/net/br_netfilter.ko.xz:\nkernel/net/vxlan.ko:\n")
    return Kernel(host, RELEASE)


def test_only_modules_that_can_and_must_be_loaded_are_loaded(tmp_path: Path) -> None:
    settings = subject.plan_modules(kernel(FakeHost(tmp_path)), ["overlay", "br_netfilter", "vxlan"])
    assert [setting.text for setting in settings] == ["load kernel module br_netfilter", "load kernel module vxlan"]
    host = FakeHost(tmp_path, {"modprobe": ok()})
    subject.apply_settings(host, settings)
    assert host.commands() == ["modprobe -a -- br_netfilter vxlan"]


def test_every_missing_module_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="the kernel lacks dummy, wireguard") as caught:
        subject.plan_modules(kernel(FakeHost(tmp_path)), ["overlay", "dummy", "br_netfilter", "wireguard"])
    assert RELEASE in caught.value.where
    assert caught.value.next_step


def test_what_modprobe_says_is_in_the_error(tmp_path: Path) -> None:
    host = FakeHost(tmp_path, {"modprobe": Result(1, "", "Operation not permitted")})
    with pytest.raises(CommandError, match=r"could not load vxlan.*Operation not permitted"):
        subject.apply_settings(host, [Setting("module", "vxlan", None, "loaded")])


@pytest.mark.parametrize("name", ["-r", "a b", "a;b", "../x", "", "x" * 100, "a\n", "{{ x }}"])
def test_a_module_name_with_a_trick_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        subject.plan_modules(kernel(FakeHost(tmp_path)), [name])


def test_a_sysctl_is_set_only_when_it_differs(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    target = host.write(FORWARD, "0\n")
    settings = subject.plan_sysctls(host, {"net.ipv4.ip_forward": "1"}, modules_come=False)
    assert [setting.text for setting in settings] == ["sysctl net.ipv4.ip_forward: 0 -> 1"]
    subject.apply_settings(host, settings)
    assert target.read_text() == "1\n"
    assert subject.plan_sysctls(host, {"net.ipv4.ip_forward": "1"}, modules_come=False) == []


def test_white_space_in_a_sysctl_is_no_difference(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.write("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n")
    assert subject.plan_sysctls(host, {"net.ipv4.ip_local_port_range": "32768   60999"}, modules_come=False) == []


def test_a_missing_sysctl_is_refused_unless_a_module_brings_it(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    wanted = {"net.bridge.bridge-nf-call-iptables": "1"}
    with pytest.raises(InputError, match="no such sysctl") as caught:
        subject.plan_sysctls(host, wanted, modules_come=False)
    assert "kernel_modules" in caught.value.next_step
    assert subject.plan_sysctls(host, wanted, modules_come=True)[0].old is None


@pytest.mark.parametrize(
    "name", ["net.ipv4.../../etc/passwd", "/etc/passwd", "..", "net..x", "net.ipv4.a b", "", "x" * 9]
)
def test_a_sysctl_name_with_a_trick_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="this is no sysctl"):
        subject.plan_sysctls(FakeHost(tmp_path), {name: "1"}, modules_come=True)


@given(st.text())
def test_no_sysctl_name_leaves_proc_sys(name: str) -> None:
    if subject.SYSCTL.fullmatch(name):
        assert os.path.normpath(sysctl_path(name)).startswith("/proc/sys/")


def test_a_value_that_the_kernel_refuses_is_reported(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    with pytest.raises(CommandError, match=r"net\.ipv4\.ip_forward could not be set") as caught:
        subject.apply_settings(host, [Setting("sysctl", "net.ipv4.ip_forward", "0", "1")])
    assert caught.value.where == FORWARD


def test_swap_lines_are_commented_out_and_nothing_else() -> None:
    found = subject.without_swap(FSTAB).splitlines()
    assert [line for line, old in zip(found, FSTAB.splitlines(), strict=True) if line != old] == [
        "# /dev/sda2 none swap sw 0 0",
        "# /swapfile\tswap\tswap defaults 0 0",
    ]


@given(st.text())
def test_commenting_out_swap_twice_is_once(text: str) -> None:
    once = subject.without_swap(text)
    assert subject.without_swap(once) == once


def test_swap_is_turned_off_when_it_is_on(tmp_path: Path) -> None:
    host = FakeHost(tmp_path, {"swapoff": ok()})
    assert subject.plan_swap(host) == []
    host.write("/proc/swaps", "Filename\n/dev/sda2 partition 1 0 -2\n")
    settings = subject.plan_swap(host)
    assert settings[0].text == "swap off: /dev/sda2"
    subject.apply_settings(host, settings)
    assert host.commands() == ["swapoff -a"]
    host.programs["swapoff"] = Result(1, "", "Cannot allocate memory")
    with pytest.raises(CommandError, match="Cannot allocate memory"):
        subject.apply_settings(host, settings)


def test_an_selinux_boolean_is_turned_on_for_good_where_it_is_off(tmp_path: Path) -> None:
    host = FakeHost(tmp_path, {"setsebool": ok()})
    assert subject.plan_booleans(host, ["haproxy_connect_any"]) == [], "no SELinux"
    host.write("/sys/fs/selinux/booleans/haproxy_connect_any", "0 0")
    settings = subject.plan_booleans(host, ["haproxy_connect_any", "unknown_here"])
    assert [setting.text for setting in settings] == ["boolean haproxy_connect_any: off -> on"]
    subject.apply_settings(host, settings)
    assert host.commands() == ["setsebool -P haproxy_connect_any=on"]
    host.write("/sys/fs/selinux/booleans/haproxy_connect_any", "1 1")
    assert subject.plan_booleans(host, ["haproxy_connect_any"]) == []
    with pytest.raises(InputError, match="no SELinux boolean"):
        subject.plan_booleans(host, ["../enforce"])
    host.programs["setsebool"] = Result(1, "", "Permission denied")
    with pytest.raises(CommandError, match="Permission denied"):
        subject.apply_settings(host, settings)


def test_hostname(tmp_path: Path) -> None:
    assert subject.plan_hostname(os.uname().nodename.lower()) == []
    assert subject.plan_hostname("another-name-1")[0].text.endswith("-> another-name-1")
    for bad in ("Node_1", "-a", "a" * 64, "a b", "", "a\n"):
        with pytest.raises(InputError, match="this is no hostname"):
            subject.plan_hostname(bad)


def test_an_edited_file_keeps_its_mode_and_a_missing_one_is_not_made(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    assert subject.edited(host, "/etc/fstab", "x") == []
    host.write("/etc/fstab", FSTAB).chmod(0o640)
    entry = subject.edited(host, "/etc/fstab", "x")[0]
    assert (entry.mode, entry.owner) == (0o640, str(os.geteuid()))
