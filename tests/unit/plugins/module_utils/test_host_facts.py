"""What a host is: parsers on real texts, readers on a host in a directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import host_facts as subject
from tests.unit.plugins.module_utils.fake_host import FakeHost, ok

DEBIAN = """PRETTY_NAME="Debian GNU/Linux 13 (trixie)"
NAME="Debian GNU/Linux"
VERSION_ID="13"
VERSION_CODENAME=trixie
ID=debian
"""
ROCKY = 'NAME="Rocky Linux"\nVERSION="9.5 (Blue Onyx)"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.5"\n'
DPKG = b"""Package: haproxy
Status: install ok installed
Priority: optional
Version: 3.0.11-1+deb13u5
Description: fast and reliable load balancing reverse proxy
 Package: not-a-package

Package: haproxy-doc
Status: install ok installed
Version: 1.0

Package: keepalived
Status: deinstall ok config-files
Version: 1:2.3.3-1

Package: libc6
Architecture: i386
Status: deinstall ok config-files
Version: 2.40

Package: libc6
Architecture: amd64
Status: install ok installed
Version: 2.41"""


def test_os_release_of_debian_and_of_a_red_hat_clone(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.write("/etc/os-release", DEBIAN)
    found = subject.read_os(host)
    assert (found["id"], found["version"], found["codename"], found["family"]) == ("debian", "13", "trixie", "Debian")
    assert found["name"] == "Debian GNU/Linux 13 (trixie)"
    assert subject.os_family(subject.parse_os_release(ROCKY)) == "RedHat"
    assert subject.os_family(subject.parse_os_release("ID=plan9\n")) == ""


def test_os_release_ignores_comments_and_empty_lines() -> None:
    assert subject.parse_os_release("# a=b\n\nID='x y'\nbroken\n=z\n") == {"ID": "x y"}


@given(st.text())
def test_os_release_takes_any_text(text: str) -> None:
    assert all(key and not key.startswith("#") for key in subject.parse_os_release(text))


def test_swap_devices() -> None:
    text = "Filename\tType\tSize\tUsed\tPriority\n/dev/sda2  partition 1 0 -2\n/swapfile file 1 0 -3\n"
    assert subject.parse_swaps(text) == ["/dev/sda2", "/swapfile"]
    assert subject.parse_swaps("Filename\tType\n") == []
    assert subject.parse_swaps("") == []


def test_memory_in_mib() -> None:
    assert subject.parse_meminfo("MemFree: 5 kB\nMemTotal:       2097152 kB\n") == 2048
    assert subject.parse_meminfo("") == 0


def test_installed_packages_only() -> None:
    found = subject.parse_dpkg_status(DPKG, ["haproxy", "keepalived", "libc6", "not-a-package", "haprox"])
    assert found == {
        "haproxy": "3.0.11-1+deb13u5",
        "keepalived": None,
        "libc6": "2.41",
        "not-a-package": None,
        "haprox": None,
    }


@given(st.binary(), st.lists(st.text(min_size=1)))
def test_dpkg_status_takes_anything(content: bytes, names: list[str]) -> None:
    assert set(subject.parse_dpkg_status(content, names)) == set(names)


def test_packages_come_from_rpm_where_there_is_no_dpkg(tmp_path: Path) -> None:
    host = FakeHost(tmp_path, {"rpm -q": ok("haproxy 2.4.22-3.el9\npackage keepalived is not installed\n")})
    assert subject.read_packages(host, ["haproxy", "keepalived"]) == {"haproxy": "2.4.22-3.el9", "keepalived": None}
    assert host.calls[0][-3:] == ["--", "haproxy", "keepalived"], "a name like -e is never taken for an option"


def test_no_package_wanted_reads_nothing(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    assert subject.read_packages(host, []) == {}
    assert host.calls == []


def test_a_path_that_will_exist_is_measured_at_its_nearest_parent(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    (tmp_path / "var").mkdir()
    found = subject.read_disk(host, "/var/lib/etcd")
    assert 0 < found["free_bytes"] <= found["total_bytes"]
    assert 0 <= found["inodes_free"] <= found["inodes_total"]
    assert found["writable"] is True
    assert os.path.ismount(found["mount"])


@pytest.mark.parametrize(("controllers", "expected"), [(True, "v2"), (False, "v1")])
def test_cgroup_version(tmp_path: Path, controllers: bool, expected: str) -> None:
    host = FakeHost(tmp_path)
    if controllers:
        host.write("/sys/fs/cgroup/cgroup.controllers", "cpu memory\n")
    else:
        # Hybrid: version 2 is mounted beside version 1, for systemd only.
        host.write("/sys/fs/cgroup/unified/cgroup.controllers", "")
    assert subject.read_identity(host)["cgroup"] == expected


def test_identity_of_a_machine_and_of_a_container(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    host.write("/sys/class/dmi/id/product_uuid", "4C4C4544-0042\n")
    host.write("/proc/1/comm", "init\n")
    found = subject.read_identity(host)
    assert (found["machine_id"], found["product_uuid"]) == ("0123456789abcdef0123456789abcdef", "4c4c4544-0042")
    assert (found["init"], found["container"]) == ("init", None)
    host.write("/run/systemd/container", "podman\n")
    host.write("/run/systemd/system/x", "")
    found = subject.read_identity(host)
    assert found["product_uuid"] is None, "every container of a machine sees the same one"
    assert (found["init"], found["container"]) == ("systemd", "podman")


def test_clock_answers_yes_or_no_on_linux() -> None:
    assert subject.clock_synchronized() in (True, False)
