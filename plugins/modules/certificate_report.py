#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin certificate_report."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_report
short_description: Judge the certificates of all hosts, print them as one table, and fail when anything failed
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Puts together what M(quorum.kubeadm.certificate_info) told about every host of the play.
  - A certificate fails that ends within O(fail_days) or has ended, that is absent, damaged, not signed by the CA of its
    host, not valid for a name that it needs, not what its port serves, or whose key is another's or may be read by
    others; and one that renewal cannot help, because its CA ends as soon.
  - A certificate ends here when its CA ends. Those that the kubelet renews are judged by a tenth of their life, when
    that is less. What signs itself, which nobody can verify, warns only.
  - A CA that is not the same on all hosts fails.
  - Runs on the controller and connects to nothing. Use it with C(run_once).
options:
  hosts:
    description: All hosts of the cluster; those that are not in the play are named.
    type: list
    elements: str
    default: []
  warn_days:
    description: From how many days before its end a certificate is told.
    type: float
    default: 30.0
  fail_days:
    description: From how many days before its end a certificate fails.
    type: float
    default: 7.0
  register:
    description: The name under which every host registered its M(quorum.kubeadm.certificate_info).
    type: str
    default: __kube_certificates_info
  metrics_register:
    description: The name under which every host registered that its metrics were written.
    type: str
    default: __kube_certificates_metrics
  output:
    description:
      - V(table) for a person.
      - V(json) for a machine, one document on a line of its own that begins with C({"certificates":).
    type: str
    choices: [table, json]
    default: table
  output_file:
    description: File on the controller to which the same JSON document is written, empty for none.
    type: path
    default: ""
attributes:
  check_mode:
    description: Does the same in check mode.
    support: full
"""

EXAMPLES = r"""
- name: Print the certificates of all hosts
  quorum.kubeadm.certificate_report:
    warn_days: 60
    output_file: /var/tmp/certificates.json
  run_once: true
"""

RETURN = r"""
counts:
  description: How many rows have each status.
  returned: always
  type: dict
  sample: {ok: 0, warn: 1, fail: 0}
msg:
  description: The verdict, and what failed.
  returned: always
  type: str
  sample: "certificates: in order (58 certificates on 5 hosts, 1 to look at, 0 failed)"
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

SPEC: dict[str, Any] = {
    "hosts": {"type": "list", "elements": "str", "default": []},
    "warn_days": {"type": "float", "default": 30.0},
    "fail_days": {"type": "float", "default": 7.0},
    "register": {"type": "str", "default": "__kube_certificates_info"},
    "metrics_register": {"type": "str", "default": "__kube_certificates_metrics"},
    "output": {"type": "str", "choices": ["table", "json"], "default": "table"},
    "output_file": {"type": "path", "default": ""},
}


def main() -> None:
    """An action plugin of the same name does the work; Ansible never sends this file to a host."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    module.fail_json(msg="certificate_report runs on the controller only, as an action of a playbook's task")


if __name__ == "__main__":
    main()
