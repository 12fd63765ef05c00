#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write everything again that is encrypted at rest."""

from __future__ import annotations

DOCUMENTATION = r"""
module: encryption_rewrite
short_description: Write everything again that is encrypted at rest, under the present key
version_added: 0.1.0
description:
  - Sends an empty patch for every object of O(resources), bound to the version that was read. The API server writes it
    again when what is stored is under another key than its first one, or under none; otherwise nothing is written.
  - Asks the API for metadata alone, so no Secret's content is in a request, an answer or a result.
  - Interrupted anywhere it is begun again; what is done already costs a request and no write.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  resources:
    description: Resources as the encryption configuration names them, like V(secrets) or V(widgets.example.org).
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    description: Counts the objects; whether one would be written only the API server's storage knows.
    support: full
extends_documentation_fragment:
  - quorum.kubeadm.kube_api
"""

EXAMPLES = r"""
- name: Write all Secrets again
  quorum.kubeadm.encryption_rewrite:
    kubeconfig: "{{ kube_kubeconfig }}"
    resources: [secrets]
  delegate_to: localhost
"""

RETURN = r"""
counts:
  description:
    - For each resource how many objects were C(seen), C(rewritten), stored under the present key already (C(current)),
      and deleted by others meanwhile (C(gone)).
  returned: success
  type: dict
  sample:
    secrets: {seen: 120, rewritten: 118, current: 2, gone: 0}
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.encryption_rewrite import kind_of, rewrite
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import ARGUMENTS, open_api

SPEC: dict[str, Any] = dict(ARGUMENTS, resources={"type": "list", "elements": "str", "required": True})


def call(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """All kinds are known before the first object is written."""
    api = open_api(params, dry_run=check_mode)
    kinds = {name: kind_of(api, name) for name in params["resources"]}
    counts = {name: rewrite(api, kind, effects=not check_mode) for name, kind in kinds.items()}
    return {
        "changed": any(one.rewritten for one in counts.values()),
        "counts": {name: asdict(one) for name, one in counts.items()},
    }


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        module.exit_json(**call(module.params, check_mode=module.check_mode))
    except KubeadmError as exc:
        module.fail_json(**exc.result())


if __name__ == "__main__":
    main()
