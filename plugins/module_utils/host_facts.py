# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is: system, memory, disks, identity, clock, packages. Pure parsers first, then one reader per noun."""

from __future__ import annotations

import ctypes
import os
import re
import time
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host

FAMILIES = {"debian": "Debian", "ubuntu": "Debian", "rhel": "RedHat", "fedora": "RedHat", "centos": "RedHat"}
STA_UNSYNC = 0x40
TIMEX_SIZE, TIMEX_STATUS = 256, 40


def parse_os_release(text: str) -> dict[str, str]:
    """/etc/os-release as a dict, quotes removed."""
    pairs: dict[str, str] = {}
    for line in text.splitlines():
        key, separator, value = line.strip().partition("=")
        if separator and key and not key.startswith("#"):
            value = value.strip()
            if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
                value = value[1:-1]
            pairs[key] = value
    return pairs


def os_family(release: dict[str, str]) -> str:
    """Debian, RedHat or "" from ID and ID_LIKE."""
    for name in [release.get("ID", ""), *release.get("ID_LIKE", "").split()]:
        if name.lower() in FAMILIES:
            return FAMILIES[name.lower()]
    return ""


def parse_swaps(text: str) -> list[str]:
    """The devices and files in /proc/swaps."""
    return [line.split()[0] for line in text.splitlines()[1:] if line.strip()]


def parse_meminfo(text: str) -> int:
    """MemTotal in MiB."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", text, re.MULTILINE)
    return int(found.group(1)) // 1024 if found else 0


def parse_dpkg_status(content: bytes, names: list[str]) -> dict[str, str | None]:
    """Versions of the named packages that are installed, from /var/lib/dpkg/status."""
    versions: dict[str, str | None] = {}
    content = b"\n" + content
    for name in names:
        versions[name] = None
        # The same name may occur once per architecture; any installed one counts.
        for found in re.finditer(rb"\nPackage: " + re.escape(name.encode()) + rb"\n", content):
            end = content.find(b"\n\n", found.end())
            paragraph = content[found.start() : end if end >= 0 else len(content)]
            version = re.search(rb"\nVersion: ([^\n]+)", paragraph)
            if version and re.search(rb"\nStatus: [a-z]+ ok installed(\n|$)", paragraph):
                versions[name] = version.group(1).decode("ascii", "replace")
    return versions


def parse_rpm_query(text: str, names: list[str]) -> dict[str, str | None]:
    """Versions from `rpm -q --qf '%{NAME} %{VERSION}-%{RELEASE}\\n'`; other lines are about missing packages."""
    versions: dict[str, str | None] = dict.fromkeys(names)
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[0] in versions:
            versions[words[0]] = words[1]
    return versions


def read_packages(host: Host, names: list[str]) -> dict[str, str | None]:
    if not names:
        return {}
    status = host.read_bytes("/var/lib/dpkg/status")
    if status is not None:
        return parse_dpkg_status(status, names)
    answer = host.run(["rpm", "-q", "--qf", "%{NAME} %{VERSION}-%{RELEASE}\n", "--", *names])
    return parse_rpm_query(answer.out, names)


def read_os(host: Host) -> dict[str, str]:
    release = parse_os_release(host.read_text("/etc/os-release") or host.read_text("/usr/lib/os-release") or "")
    kernel = os.uname()
    return {
        "id": release.get("ID", ""),
        "version": release.get("VERSION_ID", ""),
        "codename": release.get("VERSION_CODENAME", ""),
        "name": release.get("PRETTY_NAME", ""),
        "family": os_family(release),
        "arch": kernel.machine,
        "kernel": kernel.release,
    }


def read_disk(host: Host, path: str) -> dict[str, Any]:
    """Size and free space of the file system that holds `path`, or will hold it: the nearest parent that exists."""
    while not host.exists(path) and path != "/":
        path = os.path.dirname(path)
    here = os.path.realpath(host.real(path) or "/")
    space = os.statvfs(here)
    mount = here
    while not os.path.ismount(mount):
        mount = os.path.dirname(mount)
    return {
        "mount": mount,
        "total_bytes": space.f_blocks * space.f_frsize,
        "free_bytes": space.f_bavail * space.f_frsize,
        "inodes_total": space.f_files,
        "inodes_free": space.f_favail,
        "writable": os.access(here, os.W_OK),
    }


def clock_synchronized() -> bool | None:
    """What the kernel knows about its clock (adjtimex): chrony, timesyncd and ntpd all report there."""
    buffer = ctypes.create_string_buffer(TIMEX_SIZE)
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    except (OSError, AttributeError):
        return None
    if answer < 0 or ctypes.sizeof(ctypes.c_long) != 8:
        return None
    status = int.from_bytes(buffer.raw[TIMEX_STATUS : TIMEX_STATUS + 4], "little")
    return not status & STA_UNSYNC


def read_identity(host: Host) -> dict[str, Any]:
    """Who the machine is. A container sees its machine's DMI, which says nothing about the node: null there."""
    container = _line(host, "/run/systemd/container")
    product = None if container else _line(host, "/sys/class/dmi/id/product_uuid")
    return {
        "hostname": os.uname().nodename,
        "machine_id": _line(host, "/etc/machine-id"),
        "product_uuid": product.lower() if product else None,
        "boot_id": _line(host, "/proc/sys/kernel/random/boot_id"),
        "container": container,
        "init": "systemd" if host.exists("/run/systemd/system") else _line(host, "/proc/1/comm"),
        "cgroup": "v2" if host.exists("/sys/fs/cgroup/cgroup.controllers") else "v1",
    }


def read_hardware(host: Host) -> dict[str, Any]:
    return {
        "cpu_count": os.cpu_count() or 0,
        "memory_mib": parse_meminfo(host.read_text("/proc/meminfo") or ""),
        "swap": parse_swaps(host.read_text("/proc/swaps") or ""),
        "time": {"epoch": time.time(), "synchronized": clock_synchronized()},
    }


def _line(host: Host, path: str) -> str | None:
    text = host.read_text(path)
    return text.strip() or None if text is not None else None
