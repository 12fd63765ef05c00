#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every certificate of a host, as it lies there and as it is served."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_info
short_description: Every certificate of a host, as it lies there and as it is served
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Reads in one call all certificates of kubeadm, of kubeconfigs, of the kubelet, of etcd and of HAProxy, and asks each
    port of the host which certificate it serves. Asks no API, so it works when that is dead and everything has expired.
  - The host reads public PEM only, with Python's standard library. What it means is read on the controller, which needs
    C(cryptography).
  - A certificate that is absent, damaged or unreadable is told, and is no failure of the module.
    M(quorum.kubeadm.certificate_report) judges.
options:
  roles:
    description:
      - What the host is. V(etcd) together with V(control_plane) is a stacked etcd, without it a service of its own.
      - Which certificates belong to it follows from this.
    type: list
    elements: str
    choices: [control_plane, worker, etcd, load_balancer]
    required: true
  name:
    description: Name of the host, which the API server's, etcd's and the kubelet's certificates shall be valid for.
    type: str
    required: true
  address:
    description: The host's own address, for which they shall be valid too. Ports are asked there, then on loopback.
    type: str
    default: ""
  api_names:
    description: More names and addresses that the API server's certificate shall be valid for, as the virtual address.
    type: list
    elements: str
    default: []
  api_port:
    description: Port of the API server itself.
    type: int
    default: 6443
  timeout:
    description: How many seconds each port is given for its answer. All are asked at the same time.
    type: float
    default: 3.0
attributes:
  check_mode:
    description: Reads only, in check mode too.
    support: full
"""

EXAMPLES = r"""
- name: Read the certificates of a control plane with stacked etcd
  quorum.kubeadm.certificate_info:
    name: cp1
    roles: [control_plane, etcd]
    address: 192.0.2.21
    api_names: [192.0.2.10]
  register: seen
"""

RETURN = r"""
certificates:
  description:
    - One element for each certificate that belongs to the host; those that a host may be without, if they are there.
  returned: success
  type: list
  elements: dict
  contains:
    host: {description: O(name)., type: str}
    name: {description: "As C(kubeadm certs renew) calls it, where it does.", type: str}
    kind: {description: "C(ca), C(leaf), C(kubeconfig), or C(memory) when there is no file of it.", type: str}
    path: {description: The file., type: str}
    uses: {description: The file that a kubeconfig takes its certificate from. Empty when it is inside., type: str}
    state: {description: "C(present), C(absent), C(unreadable), C(damaged) or C(memory).", type: str}
    found: {description: What was found instead of a certificate., type: str}
    subject: {description: The subject., type: str}
    issuer: {description: The issuer by its name., type: str}
    serial: {description: The serial number in hexadecimal., type: str}
    not_before: {description: "From when it is valid, in UTC: 2026-11-28T12:00:00Z.", type: str}
    not_after: {description: Until when it is valid. Of several CAs the one that is valid longest counts., type: str}
    seconds_left: {description: How long that is from now on; negative when it has ended., type: int}
    sans: {description: DNS names and addresses that it is valid for., type: list, elements: str}
    lacks: {description: Those that it should be valid for and is not., type: list, elements: str}
    key_algorithm: {description: "C(RSA), C(ECDSA) or another.", type: str}
    key_size: {description: The key's size in bits., type: int}
    sha256: {description: The certificate's fingerprint., type: str}
    bundle: {description: The fingerprints of all certificates in a CA's file., type: list, elements: str}
    signer: {description: Name of the CA that shall have signed it. Empty when it signs itself., type: str}
    signed: {description: "Whether it has, by its public key: C(yes), C(no) or C(unknown).", type: str}
    signer_not_after: {description: Until when that CA is valid., type: str}
    trusts: {description: "Whether a kubeconfig trusts that CA: C(yes), C(no), C(unknown) or empty.", type: str}
    key_path: {description: The file with the private key., type: str}
    key_mode: {description: Its mode. Empty when there is none., type: str}
    key_state: {description: "C(own), C(other), C(unusable), C(absent), or empty when nothing can be told.", type: str}
    served: {description: "C(same), C(other), C(not listening), C(no certificate), C(memory) or empty.", type: str}
    served_port: {description: The port., type: int}
    served_serial: {description: The serial number of what is served., type: str}
    served_found: {description: Why nothing is served., type: str}
    key_found: {description: Why it is unusable., type: str}
    key_mode_allowed: {description: The mode that it may have at most., type: str}
    renewed_by: {description: "Who makes a new one: C(kubeadm), C(kubelet), C(etcd), C(nobody).", type: str}
    restarts: {description: What has to restart to use a new one., type: list, elements: str}
    rereads: {description: Whether these take a new file by themselves after a while., type: bool}
metrics:
  description: The same for the textfile collector of node_exporter.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_host import read_all
from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_places import API_PORT, ROLES, places
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host

SPEC = {
    "roles": {"type": "list", "elements": "str", "choices": list(ROLES), "required": True},
    "name": {"type": "str", "required": True},
    "address": {"type": "str", "default": ""},
    "api_names": {"type": "list", "elements": "str", "default": []},
    "api_port": {"type": "int", "default": API_PORT},
    "timeout": {"type": "float", "default": 3.0},
}


def main() -> None:
    """What lies on the host. The action plugin of the same name reads it."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    given = module.params
    found = read_all(Host(), places(given["roles"], given["api_port"]), given["address"], given["timeout"])
    module.exit_json(changed=False, certificates=found)


if __name__ == "__main__":
    main()
