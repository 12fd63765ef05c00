"""Kernel modules: built in, loaded, loadable, missing, each from the evidence that a real host shows."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import host_kernel as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from tests.unit.plugins.module_utils.fake_host import FakeHost

RELEASE = "6.1.0-test"
CONFIG = (
    b"CONFIG_OVERLAY_FS=y\nCONFIG_VXLAN=y\nCONFIG_BRIDGE_NETFILTER=m\n# CONFIG_DUMMY is not set\nCONFIG_NF_TABLES=y\n"
)


def kernel(host: Host) -> subject.Kernel:
    return subject.Kernel(host, RELEASE)


@pytest.mark.parametrize(
    ("path", "content", "module"),
    [
        ("/sys/module/vxlan/refcnt", b"0", "vxlan"),
        ("/sys/module/nf_conntrack/refcnt", b"0", "nf-conntrack"),
        ("/proc/filesystems", b"nodev\tsysfs\nnodev\toverlay\n\text4\n", "overlay"),
        ("/proc/sys/net/bridge/bridge-nf-call-iptables", b"1", "br_netfilter"),
        (f"/lib/modules/{RELEASE}/modules.builtin", b"kernel/fs/overlayfs/overlay.ko\n", "overlay"),
        ("/proc/config.gz", gzip.compress(CONFIG, mtime=0), "overlay"),
        (f"/boot/config-{RELEASE}", CONFIG, "vxlan"),
    ],
)
def test_each_evidence_is_enough(tmp_path: Path, path: str, content: bytes, module: str) -> None:
    host = FakeHost(tmp_path)
    assert kernel(host).state(module) == subject.MISSING
    host.write(path, content)
    assert kernel(host).state(module) == subject.READY


@pytest.mark.parametrize("suffix", ["", ".xz", ".zst", ".gz"])
def test_an_installed_module_is_loadable(tmp_path: Path, suffix: str) -> None:
    host = FakeHost(tmp_path)
    lines = f"kernel/net/br_netfilter.ko{suffix}: kernel/net/bridge/bridge.ko\nkernel/crypto/crc32c-intel.ko{suffix}:\n"
    host.write(f"/lib/modules/{RELEASE}/modules.dep", lines)
    assert kernel(host).state("br_netfilter") == subject.LOADABLE
    assert kernel(host).state("crc32c_intel") == subject.LOADABLE
    assert kernel(host).state("netfilter") == subject.MISSING, "names are matched whole"
    assert kernel(host).state("bridge") == subject.MISSING, "what another module needs is not an entry of its own"


def test_a_module_option_alone_does_not_make_a_module(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.write("/proc/config.gz", gzip.compress(CONFIG, mtime=0))
    assert kernel(host).state("br_netfilter") == subject.MISSING, "=m, and no file of it is installed"
    assert kernel(host).state("dummy") == subject.MISSING


def test_a_damaged_config_is_no_evidence(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.write("/proc/config.gz", b"not gzip")
    assert kernel(host).state("overlay") == subject.MISSING


def test_features(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.write("/proc/config.gz", gzip.compress(CONFIG, mtime=0))
    found = kernel(host).features()
    assert found["overlay"]
    assert found["vxlan"]
    assert found["ip_tables_or_nft"], "nf_tables alone is enough"
    assert not found["ip_tables"]
    assert not found["br_netfilter"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"),
        ("net/ipv4/ip_forward", "/proc/sys/net.ipv4.ip_forward"),
        ("net.ipv4.conf.eth0/100.rp_filter", "/proc/sys/net/ipv4/conf/eth0.100/rp_filter"),
    ],
)
def test_sysctl_path(name: str, path: str) -> None:
    assert subject.sysctl_path(name) == path


def test_sysctls_are_read_with_single_spaces_and_missing_ones_are_null(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.write("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n")
    assert subject.read_sysctl(host, "net.ipv4.ip_local_port_range") == "32768 60999"
    assert subject.read_sysctl(host, "net.bridge.none") is None
    sysctls = subject.read_kernel(host)["sysctls"]
    assert isinstance(sysctls, dict)
    assert sysctls["net.ipv4.ip_forward"] is None
