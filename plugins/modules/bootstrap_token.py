#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make and delete bootstrap tokens."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bootstrap_token
short_description: Make and delete the tokens that nodes join with
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - With O(state=present) makes a new token, each time it is called, as C(kubeadm token create) does. Its expiry is
    reckoned by the API server's clock.
  - With O(state=absent) deletes the token with O(token_id), or all tokens with exactly this O(description).
options:
  state:
    description: Make a token or delete tokens.
    type: str
    choices: [present, absent]
    default: present
  ttl_minutes:
    description: Minutes that a new token lives.
    type: int
    default: 15
  usages:
    description: What a new token is good for.
    type: list
    elements: str
    choices: [authentication, signing]
    default: [authentication, signing]
  groups:
    description: Groups of the user that a new token stands for. Each begins with C(system:bootstrappers:).
    type: list
    elements: str
    default: ["system:bootstrappers:kubeadm:default-node-token"]
  description:
    description: Says whose token it is. Tokens that are deleted without O(token_id) are found by it.
    type: str
    default: quorum.kubeadm
  token_id:
    description: The token to delete, the six characters before its dot. Only with O(state=absent).
    type: str
    default: ""
attributes:
  check_mode:
    description: The token that is returned is checked by the API server but not stored.
    support: full
  diff_mode:
    description: Shows IDs and expiries, never a token.
    support: full
extends_documentation_fragment:
  - quorum.kubeadm.kube_api
"""

EXAMPLES = r"""
- name: Make a token for the joins of this run
  quorum.kubeadm.bootstrap_token:
    kubeconfig: "{{ kube_kubeconfig }}"
    endpoints: ["https://192.0.2.100:6443", "https://192.0.2.11:6443"]
    ttl_minutes: 15
  register: __join_token
  no_log: true
  delegate_to: localhost

- name: Delete all tokens that this collection made
  quorum.kubeadm.bootstrap_token:
    kubeconfig: "{{ kube_kubeconfig }}"
    state: absent
  delegate_to: localhost
"""

RETURN = r"""
token:
  description: The new token. A secret; set C(no_log) on the task.
  returned: when O(state=present)
  type: str
  sample: abcdef.0123456789abcdef
token_id:
  description: The part of the token that is no secret.
  returned: when O(state=present)
  type: str
  sample: abcdef
expires:
  description: When the new token ends, in UTC.
  returned: when O(state=present)
  type: str
  sample: "2026-01-31T12:15:00Z"
deleted:
  description: IDs of the tokens that were deleted.
  returned: when O(state=absent)
  type: list
  elements: str
"""

from datetime import timedelta
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils import tokens
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import (
    ARGUMENTS,
    KubeApi,
    open_api,
    secret_path,
    token_secrets,
)


def present(api: KubeApi, params: dict[str, Any]) -> dict[str, Any]:
    """Make one token."""
    token = tokens.mint(
        now=api.now(),
        ttl=timedelta(minutes=params["ttl_minutes"]),
        description=params["description"],
        usages=params["usages"],
        groups=params["groups"],
    )
    api.create(secret_path(), tokens.to_secret(token))
    expires = tokens.format_time(token.expires) if token.expires else ""
    after = f"token {token.token_id} expires {expires}\n"
    return {
        "changed": True,
        "token": token.token,
        "token_id": token.token_id,
        "expires": expires,
        "diff": {"before": "", "after": after},
    }


def absent(api: KubeApi, params: dict[str, Any]) -> dict[str, Any]:
    """Delete the token with this ID, or all with this description."""
    wanted = tokens.check_id(params["token_id"]) if params["token_id"] else ""
    deleted = []
    for secret in token_secrets(api):
        token_id = tokens.decode(secret.get("data") or {}, "token-id")
        description = tokens.decode(secret.get("data") or {}, "description")
        chosen = token_id == wanted if wanted else description == params["description"]
        if chosen and api.delete(secret_path(secret["metadata"]["name"]), uid=secret["metadata"]["uid"]):
            deleted.append(token_id)
    before = "".join(f"token {token_id}\n" for token_id in sorted(deleted))
    return {"changed": bool(deleted), "deleted": sorted(deleted), "diff": {"before": before, "after": ""}}


SPEC: dict[str, Any] = dict(
    ARGUMENTS,
    state={"type": "str", "choices": ["present", "absent"], "default": "present"},
    ttl_minutes={"type": "int", "default": 15},
    usages={"type": "list", "elements": "str", "choices": list(tokens.USAGES), "default": list(tokens.USAGES)},
    groups={"type": "list", "elements": "str", "default": [tokens.DEFAULT_GROUP]},
    description={"type": "str", "default": "quorum.kubeadm"},
    token_id={"type": "str", "default": "", "no_log": False},
)


def call(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Do what the state asks."""
    api = open_api(params, dry_run=check_mode)
    return {"present": present, "absent": absent}[params["state"]](api, params)


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        module.exit_json(**call(module.params, check_mode=module.check_mode))
    except KubeadmError as exc:
        module.fail_json(**exc.result())


if __name__ == "__main__":
    main()
