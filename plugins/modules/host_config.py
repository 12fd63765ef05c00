#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files, kernel settings and services of a host in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_config
short_description: Files, kernel settings and services of a host in one call
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Plans everything first, runs every validator on a private copy, and only then writes.
  - When anything is refused, nothing has changed.
  - Files are written atomically. C(systemctl daemon-reload) runs by itself when systemd says so or a unit file changed.
  - A restart is not made here. Notify a handler.
options:
  users:
    description: System users that services run as, each with a group of the same name and without a login. Made first.
    type: list
    elements: str
    default: []
  directories:
    description: Directories that shall exist, parents first.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path. A symbolic link is followed.
        type: str
        required: true
      mode:
        description: Octal mode. Default V(0755) for directories, V(0644) for files.
        type: str
      owner:
        description: User name or number.
        type: str
        default: root
      group:
        description: Group name or number.
        type: str
        default: root
  files:
    description: Files that shall exist, each with exactly one of C(content), C(content_b64) and C(secret_b64).
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description:
          - Absolute path. A symbolic link is followed.
          - Its directory must exist or be listed under O(directories).
        type: str
        required: true
      content:
        description: Content of the file.
        type: str
      content_b64:
        description: Content in base64.
        type: str
      secret_b64:
        description: Secret content in base64, on one line. It is in no log, diff or result.
        type: str
      mode:
        description: Octal mode. Default V(0644), for a secret V(0600).
        type: str
      owner:
        description: User name or number.
        type: str
        default: root
      group:
        description: Group name or number.
        type: str
        default: root
      validate:
        description: Program and arguments that must accept the file. V({}) stands for the copy that is checked.
        type: list
        elements: str
  absent:
    description: Files, links and empty directories that shall not exist.
    type: list
    elements: str
    default: []
  kernel_modules:
    description:
      - Kernel modules to load where they are neither built in nor loaded.
      - What the kernel truly lacks is refused by name.
    type: list
    elements: str
    default: []
  sysctls:
    description: Sysctls to set live. Write a file below C(/etc/sysctl.d) to keep them.
    type: dict
    default: {}
  selinux_booleans:
    description: SELinux booleans to turn on for good. Ignored where SELinux is off or does not know them.
    type: list
    elements: str
    default: []
  swap:
    description: V(off) turns swap off and comments out the swap lines of C(/etc/fstab).
    type: str
    choices: [keep, "off"]
    default: keep
  hostname:
    description: Hostname to set, live and in C(/etc/hostname).
    type: str
  units:
    description: systemd units.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the unit; V(.service) may be left out.
        type: str
        required: true
      enabled:
        description: Whether it starts at boot.
        type: bool
      state:
        description: V(started) waits until the unit is active.
        type: str
        choices: [started, stopped]
      masked:
        description: Whether it is masked.
        type: bool
      reads:
        description:
          - Files that the unit reads when it starts or reloads.
          - When it runs and was started before one of them changed, it is named in RV(stale_units), and the call
            counts as changed, also when an earlier run wrote the file and ended before its handler.
        type: list
        elements: str
        default: []
  packages:
    description:
      - Names of packages that the rest of the call relies on. One that is missing is refused; in check mode, in which
        nothing has installed it, it is only named.
      - A receipt is proven only while they are installed.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds for the units to become active.
    type: float
    default: 60.0
extends_documentation_fragment: quorum.kubeadm.receipt
attributes:
  check_mode:
    description: Predicts exactly what a run does.
    support: full
  diff_mode:
    description: Per file. Of secret files only that they change.
    support: full
"""

EXAMPLES = r"""
- name: Prepare the kernel
  quorum.kubeadm.host_config:
    files:
      - {path: /etc/modules-load.d/kubernetes.conf, content: "overlay\nbr_netfilter\n"}
      - {path: /etc/sysctl.d/90-kubernetes.conf, content: "net.ipv4.ip_forward = 1\n"}
      - {path: /etc/kubernetes/encryption.yaml, secret_b64: "{{ __encryption | b64encode }}"}
    kernel_modules: [overlay, br_netfilter]
    sysctls: {net.ipv4.ip_forward: "1"}
    swap: "off"
    units:
      - {name: containerd, enabled: true, state: started}
"""

RETURN = r"""
changed_files:
  description: Paths that were written or removed.
  returned: success
  type: list
  elements: str
changed_units:
  description: Units that were enabled, disabled, started, stopped, masked or unmasked.
  returned: success
  type: list
  elements: str
stale_units:
  description: Those of O(units) that run with an older content of what they read; what a handler restarts or reloads.
  returned: success
  type: list
  elements: str
running_units:
  description: Those of O(units) that ran before.
  returned: success
  type: list
  elements: str
steps:
  description: What was done, in words, in its order.
  returned: success
  type: list
  elements: str
  sample: ["create /etc/sysctl.d/90-kubernetes.conf (0644 root:root)", "sysctl net.ipv4.ip_forward: 0 -> 1"]
proven:
  description: The host was not asked, because its receipt was proven earlier in this run.
  returned: when O(receipt) was proven
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils import receipts
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_files import Files
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host, labeller
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_plan import SPEC, apply_plan, make_plan


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)

    host = Host()
    files = Files(host, check_mode=module.check_mode, label=labeller(module))
    try:
        plan = make_plan(host, files, module.params)
        for note in files.validate(plan.files):
            module.warn(note)
        apply_plan(host, files, plan, module.params["timeout"], effects=not module.check_mode)
        receipts.leave(host, "host_config", module.params, effects=not module.check_mode)
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    result = plan.result()
    if not module._diff:
        result.pop("diff")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
