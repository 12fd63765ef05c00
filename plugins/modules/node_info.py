#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that preflight, plan and resume need to know about a host, in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_info
short_description: Facts of a host for preflight, plan and resume, in one call
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Replaces fact gathering. Reads files below C(/proc), C(/sys) and C(/etc) and starts as few programs as possible.
  - Changes nothing on the host. Versions of programs are remembered in C(/run/quorum-kubeadm/versions.json).
  - Never returns a secret. Of certificates and kubeconfigs only the public parts are read.
options:
  packages:
    description: Names of packages whose installed version is wanted.
    type: list
    elements: str
    default: []
  disk_paths:
    description: Absolute paths whose file system is measured. Where a path does not exist its nearest parent is taken.
    type: list
    elements: str
    default: []
  api_urls:
    description:
      - API servers to ask for C(/readyz), as V(https://10.0.0.1:6443) or with a path.
      - No credentials are sent and the certificate is not verified. Each has one second, all are asked at once.
    type: list
    elements: str
    default: []
  watch_ports:
    description: TCP ports for which the listening processes are wanted.
    type: list
    elements: int
    default: []
  arp_probe:
    description: Ask the network segment who has an IPv4 address, without changing any ARP table.
    type: dict
    suboptions:
      address:
        description: The IPv4 address.
        type: str
        required: true
      interface:
        description: The interface to ask on. By default the one whose subnet holds the address.
        type: str
  vrrp_listen_seconds:
    description: How long to listen for VRRP advertisements. V(0) does not listen.
    type: float
    default: 0.0
  settle_seconds:
    description:
      - How long to wait for an operation of M(quorum.kubeadm.kubeadm) that runs on the host, before anything is read.
        A controller that was killed leaves one running.
    type: float
    default: 0.0
  settled:
    description:
      - Name of a receipt. Where O(receipts) prove it, the segment is neither listened to nor asked, and C(arp)
        and C(vrrp) are empty; a load balancer that runs as it was configured need not look for strangers.
    type: str
    default: ""
  etcd:
    description:
      - Where the host has an etcd member with kubeadm's certificates, ask it about its cluster, as
        M(quorum.kubeadm.etcd_info) does.
    type: bool
    default: false
  receipts:
    description: Prove the receipts of earlier calls again, see the option O(quorum.kubeadm.host_config#module:receipt).
    type: bool
    default: false
  upgrade:
    description: Read what an upgrade must know before it changes anything, see C(upgrade) in the result.
    type: bool
    default: false
attributes:
  check_mode:
    description: Reads only, in check mode too.
    support: full
"""

EXAMPLES = r"""
- name: Look at the host
  quorum.kubeadm.node_info:
    packages: [haproxy, keepalived]
    disk_paths: [/var/lib/etcd, /var/lib/containerd]
    api_urls: ["https://192.0.2.10:6443"]
    watch_ports: [6443, 2379, 2380, 10250]
  register: __node
"""

RETURN = r"""
node:
  description:
    - All keys are always there, null where unknown.
    - C(hostname), C(machine_id), C(product_uuid) (null in a container), C(boot_id), C(container).
    - C(init), C(cgroup), C(python).
    - C(os) (id, version, codename, name, family, arch, kernel), C(time) (epoch, synchronized).
    - C(cpu_count), C(memory_mib).
    - C(swap) (devices), C(packages) by name.
    - C(disks) by path (mount, total_bytes, free_bytes, inodes_total, inodes_free, writable).
    - C(addresses) (interface, address, prefix, family), C(macs) by interface, C(default_route), C(listening).
    - C(kernel) (features, sysctls), C(units) by name (active, enabled, main_pid, started_at).
    - C(kubernetes) (versions, public certificates, server of kubelet.conf, static pods by name with their image,
      C(marker) of an unfinished operation, C(busy) while it runs, C(etcd_data), C(etcd_servers) of the API server,
      C(pods_dir), C(api) by URL,
      C(etcd_initial), V(new) or V(existing) while the bootstrap or join of an external etcd's member is unfinished).
    - C(receipts) (name to digest and inputs of every receipt whose call would find nothing to do).
    - C(etcd) (C(etcd) as M(quorum.kubeadm.etcd_info) returns it, or C(error)), null without one or when not asked.
    - C(arp) (address, interface, answered, mac, error), C(vrrp) (source, vrid, priority, vip).
    - C(upgrade), null when not asked. C(static_pods) by name, of etcd and Kubernetes' components (C(image), C(args),
      the whole command line, null when the manifest is no YAML as kubeadm writes it).
    - C(upgrade.kubelet). C(environment) by path of the file (flags in it), C(config) (C(/var/lib/kubelet/config.yaml)
      as a mapping, null when it is not there or cannot be read), C(config_present), C(args) (flags of the running
      process), C(running_version), empty when none runs or its program was replaced since it was started.
    - C(upgrade.certificates), path to the certificates in PEM (all below C(/etc/kubernetes/pki), those inside the
      kubeconfigs, the kubelet's own; never a key). C(upgrade.disks), like C(disks), of containerd, kubelet and etcd.
  returned: success
  type: dict
  sample:
    hostname: cp1
    os: {id: debian, version: "13", family: Debian, arch: x86_64}
    memory_mib: 8192
    swap: []
    kubernetes: {kubelet_version: 1.36.3, etcd_data: present}
"""

import ipaddress
import platform
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils import (
    host_facts,
    host_net,
    host_probe,
    host_questions,
    receipts,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_kernel import read_kernel
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_kubernetes import read_kubernetes
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_lock import still_busy
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_units import read_units
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_upgrade import read_upgrade
from ansible_collections.quorum.kubeadm.plugins.module_utils.receipt_provers import PROVERS

UNITS = ("containerd", "kubelet", "haproxy", "keepalived", "etcd")
SPEC: dict[str, Any] = {
    "packages": {"type": "list", "elements": "str", "default": []},
    "disk_paths": {"type": "list", "elements": "str", "default": []},
    "api_urls": {"type": "list", "elements": "str", "default": []},
    "watch_ports": {"type": "list", "elements": "int", "default": []},
    "arp_probe": {
        "type": "dict",
        "options": {"address": {"type": "str", "required": True}, "interface": {"type": "str"}},
    },
    "vrrp_listen_seconds": {"type": "float", "default": 0.0},
    "settle_seconds": {"type": "float", "default": 0.0},
    "settled": {"type": "str", "default": ""},
    "etcd": {"type": "bool", "default": False},
    "receipts": {"type": "bool", "default": False},
    "upgrade": {"type": "bool", "default": False},
}


def check_inputs(params: dict[str, Any]) -> None:
    """Types are checked already; what could still mislead a program or a path is refused here."""
    for path in params["disk_paths"]:
        if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
            raise InputError("a disk path must be absolute", found=repr(path[:80]), next_step="correct `disk_paths`")
    if params["arp_probe"]:
        try:
            ipaddress.IPv4Address(params["arp_probe"]["address"])
        except ValueError as exc:
            raise InputError("this is no IPv4 address", found=str(exc)[:120], next_step="correct `arp_probe`") from exc


def collect(host: Host, params: dict[str, Any]) -> dict[str, Any]:
    """All facts. Slow questions run in the background while the files are read."""
    busy = still_busy(params["settle_seconds"])
    network = host_net.read_network(host)
    asked = host_probe.Background()
    host_questions.ask_others(asked, params)
    proven = receipts.proven(host, PROVERS) if params["receipts"] else {}
    if params["settled"] not in proven:
        host_questions.ask_segment(asked, params, network)
    units = read_units(host, list(UNITS))
    node = {
        **host_facts.read_identity(host),
        **host_facts.read_hardware(host),
        **network,
        "python": platform.python_version(),
        "os": host_facts.read_os(host),
        "disks": {path: host_facts.read_disk(host, path) for path in params["disk_paths"]},
        "listening": host_net.read_listening(host, params["watch_ports"]),
        "packages": host_facts.read_packages(host, params["packages"]),
        "kernel": read_kernel(host),
        "units": {name: units[f"{name}.service"].info() for name in UNITS},
        "kubernetes": read_kubernetes(host),
        "receipts": proven,
    }
    pid, version = units["kubelet.service"].main_pid, node["kubernetes"]["kubelet_version"]
    node["upgrade"] = read_upgrade(host, pid, version) if params["upgrade"] else None
    answers = asked.answers()
    node["kubernetes"]["api"] = {url: answers[f"api {url}"] for url in params["api_urls"]}
    node["kubernetes"]["busy"] = busy
    node["etcd"] = answers.get("etcd")
    node["arp"] = answers.get("arp")
    node["vrrp"] = answers.get("vrrp", [])
    return node


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        check_inputs(module.params)
        node = collect(Host(), module.params)
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(changed=False, node=node)


if __name__ == "__main__":
    main()
