#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make, verify and withdraw the key that kubeadm encrypts a control plane's certificates with."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_key
short_description: The key under which control planes pass on their certificates
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - C(kubeadm init phase upload-certs) stores the CA keys, encrypted under this key, in Secret C(kubeadm-certs), and
    C(kubeadm join --control-plane) fetches them. The Secret ends with the bootstrap token that owns it.
  - With O(state=present) makes a new key. The API is not asked, nothing is stored.
  - With O(state=verified) refuses when the Secret is missing, expired or incomplete, does not decrypt under O(key), or
    holds another CA than the one that the API server is verified with; then shortens the life of the Secret.
    With O(token_id), the token that joins use besides is looked at as well.
  - With O(state=absent) deletes the Secret and the token that owns it.
options:
  kubeconfig:
    description:
      - Path of the kubeconfig, on the host where the module runs. Needed for O(state=verified) and O(state=absent).
    type: path
    required: false
  state:
    description: What to do.
    type: str
    choices: [present, verified, absent]
    default: present
  key:
    description: The key to verify, 64 hexadecimal digits. Needed for O(state=verified).
    type: str
  ttl_minutes:
    description: Minutes that the Secret may live from now on, at most. kubeadm itself gives it two hours.
    type: int
    default: 15
  token_id:
    description: With O(state=verified), the bootstrap token that a join needs besides, the part before its dot.
    type: str
    default: ""
  least_minutes:
    description: Minutes that what is verified has to live on from now, at least.
    type: int
    default: 0
attributes:
  check_mode:
    description: Verifies the same, and stores nothing.
    support: full
  diff_mode:
    description: Shows the expiry and what is deleted.
    support: full
requirements:
  - cryptography, only for O(state=verified)
extends_documentation_fragment:
  - quorum.kubeadm.kube_api
"""

EXAMPLES = r"""
- name: Make a certificate key
  quorum.kubeadm.certificate_key:
  register: __join_key
  no_log: true
  delegate_to: localhost

- name: Verify what kubeadm uploaded and let it live for ten minutes
  quorum.kubeadm.certificate_key:
    kubeconfig: "{{ kube_kubeconfig }}"
    state: verified
    key: "{{ __join_key.key }}"
    ttl_minutes: 10
  delegate_to: localhost

- name: Withdraw the certificates after the last join
  quorum.kubeadm.certificate_key:
    kubeconfig: "{{ kube_kubeconfig }}"
    state: absent
  delegate_to: localhost
"""

RETURN = r"""
key:
  description: The new key, 32 random bytes in hexadecimal. A secret; set C(no_log) on the task.
  returned: when O(state=present)
  type: str
ca_sha256:
  description: Hash of the stored CA's public key, as C(kubeadm join --discovery-token-ca-cert-hash) wants it.
  returned: when O(state=verified)
  type: str
  sample: sha256:8cb2de97839780a412b93877f8507ad6c94f73add17d5d7058e91741c9d5ec78
entries:
  description: Names of the certificates and keys that were stored and are not empty.
  returned: when O(state=verified)
  type: list
  elements: str
expires:
  description: When the Secret ends, in UTC.
  returned: when O(state=verified)
  type: str
  sample: "2026-01-31T12:15:00Z"
deleted:
  description: Names of the Secrets that were deleted.
  returned: when O(state=absent)
  type: list
  elements: str
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.quorum.kubeadm.plugins.module_utils import pki, tokens
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, KubeadmError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import (
    ARGUMENTS,
    KubeApi,
    open_api,
    secret_path,
    token_secrets,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeconfig import load

AGAIN = "Upload the certificates again on a control plane: kubeadm init phase upload-certs --upload-certs"


def open_gcm(key: bytes, nonce: bytes, sealed: bytes) -> bytes:
    """AES-256-GCM by the cryptography package; ValueError when key and data do not belong together."""
    try:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - only state=verified needs it
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - only state=verified needs it
    except ImportError as exc:
        raise InputError(missing_required_lib("cryptography"), found=str(exc)) from exc
    try:
        return AESGCM(key).decrypt(nonce, sealed, None)
    except InvalidTag as exc:
        raise ValueError("does not decrypt") from exc


def owner_of(api: KubeApi, secret: Mapping[str, Any]) -> dict[str, Any] | None:
    """The token Secret that kubeadm-certs ends with."""
    for reference in secret["metadata"].get("ownerReferences") or []:
        if reference["kind"] == "Secret" and reference["name"].startswith(tokens.SECRET_PREFIX):
            found = api.find(secret_path(reference["name"]))
            if found is not None and found["metadata"]["uid"] == reference["uid"]:
                return found
    return None


def check_token(api: KubeApi, token_id: str, least: timedelta) -> None:
    """Refuse when the token with this ID will not serve any more."""
    secret = api.find(secret_path(tokens.secret_name(tokens.check_id(token_id))))
    why = tokens.shortcoming(tokens.from_secret(secret) if secret else None, api.now(), least)
    if why:
        step = "Make another one: kubeadm token create"
        raise RefusedError(f"Bootstrap token {token_id} {why}", where=api.endpoint, next_step=step)


def verified(api: KubeApi, params: dict[str, Any]) -> dict[str, Any]:
    """Judge the Secret, then shorten its owner's life."""
    key = pki.key_bytes(params["key"])
    secret = api.find(secret_path(pki.CERTS_SECRET))
    if secret is None:
        raise RefusedError(f"There is no Secret {pki.CERTS_SECRET}", where=api.endpoint, next_step=AGAIN)
    plain = pki.open_entries(secret.get("data") or {}, key, open_gcm)
    ca_sha256 = pki.check_entries(plain, pki.certificates(load(params["kubeconfig"]).ca_pem))
    owner = owner_of(api, secret)
    token, least = tokens.from_secret(owner) if owner else None, timedelta(minutes=params["least_minutes"])
    why = tokens.shortcoming(token, api.now(), least)
    if owner is None or token is None or why:
        found = f"the token that owns it {why}"
        raise RefusedError(
            f"Secret {pki.CERTS_SECRET} has expired or soon will", where=api.endpoint, found=found, next_step=AGAIN
        )
    if params["token_id"]:
        check_token(api, params["token_id"], least)
    sooner = tokens.shortened(token.expires, api.now(), timedelta(minutes=params["ttl_minutes"]))
    if sooner:
        version = owner["metadata"]["resourceVersion"]
        data = {"expiration": tokens.encode(tokens.format_time(sooner))}
        api.patch(secret_path(owner["metadata"]["name"]), {"metadata": {"resourceVersion": version}, "data": data})
    before = tokens.format_time(token.expires) if token.expires else "never"
    after = tokens.format_time(sooner) if sooner else before
    return {
        "changed": bool(sooner),
        "ca_sha256": ca_sha256,
        "entries": sorted(name for name, value in plain.items() if value),
        "expires": after,
        "diff": {"before": f"expires {before}\n", "after": f"expires {after}\n"},
    }


def absent(api: KubeApi, _params: dict[str, Any]) -> dict[str, Any]:
    """Delete the Secret, its owner, and the owners that earlier uploads left."""
    secret = api.find(secret_path(pki.CERTS_SECRET))
    owners = [found for found in token_secrets(api) if tokens.is_upload_owner(found)]
    doomed = [secret, *owners] if secret else owners
    deleted = [
        found["metadata"]["name"]
        for found in doomed
        if api.delete(secret_path(found["metadata"]["name"]), uid=found["metadata"]["uid"])
    ]
    diff = {"before": "".join(f"Secret {name}\n" for name in deleted), "after": ""}
    return {"changed": bool(deleted), "deleted": deleted, "diff": diff}


SPEC: dict[str, Any] = dict(
    ARGUMENTS,
    kubeconfig={"type": "path", "required": False},
    state={"type": "str", "choices": ["present", "verified", "absent"], "default": "present"},
    key={"type": "str", "no_log": True},
    ttl_minutes={"type": "int", "default": 15},
    token_id={"type": "str", "default": "", "no_log": False},
    least_minutes={"type": "int", "default": 0},
)
RULES: dict[str, Any] = {
    "required_if": [("state", "verified", ("key", "kubeconfig")), ("state", "absent", ("kubeconfig",))]
}


def call(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Do what the state asks."""
    if params["state"] == "present":
        return {"changed": True, "key": pki.new_key(), "diff": {"before": "", "after": "a new certificate key\n"}}
    api = open_api(params, dry_run=check_mode)
    return {"verified": verified, "absent": absent}[params["state"]](api, params)


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True, **RULES)
    try:
        module.exit_json(**call(module.params, check_mode=module.check_mode))
    except KubeadmError as exc:
        module.fail_json(**exc.result())


if __name__ == "__main__":
    main()
