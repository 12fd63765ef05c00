# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel modules, features and sysctls, from files alone: modprobe fails in containers for what is built in."""

from __future__ import annotations

import os
import re
import zlib

from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host

# Where the option's name is not CONFIG_ + the module's name.
OPTIONS = {
    "overlay": "OVERLAY_FS",
    "br_netfilter": "BRIDGE_NETFILTER",
    "ip_tables": "IP_NF_IPTABLES",
    "ip6_tables": "IP6_NF_IPTABLES",
}
# A path that exists only where the feature does.
WITNESSES = {
    "br_netfilter": "/proc/sys/net/bridge",
    "nf_conntrack": "/proc/sys/net/netfilter/nf_conntrack_max",
    "ip_tables": "/proc/net/ip_tables_names",
    "ip_vs": "/proc/sys/net/ipv4/vs",
}
FEATURES = ("overlay", "br_netfilter", "vxlan", "nf_conntrack", "ip_tables", "nf_tables", "ip_vs")
SYSCTLS = (
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.ipv4.ip_nonlocal_bind",
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.panic",
    "kernel.panic_on_oops",
    "fs.inotify.max_user_instances",
    "fs.inotify.max_user_watches",
)
READY, LOADABLE, MISSING = "ready", "loadable", "missing"


class Kernel:
    """Answers "is it there?" for many modules while reading each of the kernel's lists once."""

    def __init__(self, host: Host, release: str = "") -> None:
        self.host = host
        self.release = release or os.uname().release
        self._lists: dict[str, str] = {}

    def state(self, name: str) -> str:
        """ready (loaded or built in), loadable, or missing."""
        name = name.replace("-", "_")
        if self._is_live(name) or self._in_list("modules.builtin", name) or self._is_configured(name, "y"):
            return READY
        return LOADABLE if self._in_list("modules.dep", name) else MISSING

    def features(self) -> dict[str, bool]:
        """What Kubernetes wants of the kernel: usable now, or after loading a module that is installed."""
        found = {name: self.state(name) != MISSING for name in FEATURES}
        found["ip_tables_or_nft"] = found["ip_tables"] or found["nf_tables"]
        return found

    def _is_live(self, name: str) -> bool:
        if self.host.exists(f"/sys/module/{name}") or (name in WITNESSES and self.host.exists(WITNESSES[name])):
            return True
        return name in self._text("filesystems", "/proc/filesystems").split()

    def _in_list(self, listing: str, name: str) -> bool:
        text = self._text(listing, f"/lib/modules/{self.release}/{listing}")
        pattern = re.escape(name).replace("_", "[_-]")
        return bool(re.search(rf"^(?:[^\s:]*/)?{pattern}\.ko(?:\.[a-z0-9]+)?(?::|$)", text, re.MULTILINE))

    def _is_configured(self, name: str, value: str) -> bool:
        if "config" not in self._lists:
            self._lists["config"] = self._read_config()
        return f"\nCONFIG_{OPTIONS.get(name, name.upper())}={value}\n" in self._lists["config"]

    def _read_config(self) -> str:
        packed = self.host.read_bytes("/proc/config.gz")
        if packed is None:
            return "\n" + (self.host.read_text(f"/boot/config-{self.release}") or "")
        try:
            return "\n" + zlib.decompress(packed, 31).decode("utf-8", "replace")
        except zlib.error:
            return ""

    def _text(self, key: str, path: str) -> str:
        if key not in self._lists:
            self._lists[key] = self.host.read_text(path) or ""
        return self._lists[key]


def sysctl_path(name: str) -> str:
    """net.ipv4.conf.eth0/1.rp_filter -> /proc/sys/net/ipv4/conf/eth0.1/rp_filter, as sysctl(8) does it."""
    return "/proc/sys/" + name.translate(str.maketrans("./", "/."))


def read_sysctl(host: Host, name: str) -> str | None:
    text = host.read_text(sysctl_path(name))
    return None if text is None else " ".join(text.split())


def read_kernel(host: Host) -> dict[str, object]:
    return {"features": Kernel(host).features(), "sysctls": {name: read_sysctl(host, name) for name in SYSCTLS}}
