#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a control plane's encryption configuration: which there are, in which order."""

from __future__ import annotations

DOCUMENTATION = r"""
module: encryption_key
short_description: The keys with which an API server encrypts what it stores
version_added: 0.1.0
description:
  - Tells the keys of the encryption configuration on this host, and those that the API server here has begun with, by
    name and by a mark. A secret is in no result, log or diff.
  - Gives the configuration these keys in this order. The first one writes, all of them read. An API server reads its
    configuration when it starts, so restart it afterwards.
  - A key that is not named any more is dropped only when O(unused) names it, too, and the old file is kept as
    C(retired-TIME.yaml) beside it, because older snapshots of etcd need it.
  - For C(rotate_encryption_key.yml), which asks everything that has to be asked before.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  path:
    description: The file. It is only replaced by renaming, with mode 0600.
    type: path
    default: /etc/kubernetes/encryption/config.yaml
  state:
    description: V(seen) changes nothing.
    type: str
    choices: [seen, present]
    required: true
  keys:
    description: Names of the keys in their order.
    type: list
    elements: str
    default: []
  make:
    description: One of O(keys), which is made of random bytes when neither this host nor O(source_b64) has it.
    type: str
    default: ""
  unused:
    description: Keys that may be dropped, because nothing in etcd is under them.
    type: list
    elements: str
    default: []
  source_b64:
    description: The file of another control plane, in base64, for keys that this one lacks.
    type: str
    default: ""
attributes:
  check_mode:
    description: Says which keys there would be.
    support: full
  diff_mode:
    description: The names of the keys, never the keys.
    support: full
"""

EXAMPLES = r"""
- name: Keys | Let another key be read
  quorum.kubeadm.encryption_key:
    state: present
    keys: [key1, key2]
    make: key2
"""

RETURN = r"""
keys:
  description: The keys of the file in their order, each with C(name) and C(mark), after the change.
  returned: success
  type: list
  elements: dict
loaded:
  description: Those that the API server of this host has begun with; null when none runs, empty when it cannot be told.
  returned: success
  type: list
  elements: dict
rest:
  description: What the configuration says beside its keys.
  returned: success
  type: str
resources:
  description: The resources that are encrypted.
  returned: success
  type: list
  elements: str
kept:
  description: Where the file with the dropped keys is kept; empty when none was dropped.
  returned: success
  type: str
"""

import base64
import binascii
import secrets
import time
from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils import encryption_host
from ansible_collections.quorum.kubeadm.plugins.module_utils.encryption import Config, new_secret, parse
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, KubeadmError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeadm_host import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeconfig import load_yaml


def given(source_b64: str) -> dict[str, str]:
    """Name to secret of another host's file."""
    if not source_b64:
        return {}
    try:
        document = load_yaml(base64.b64decode(source_b64, validate=True).decode())
    except (binascii.Error, ValueError):
        raise InputError("source_b64 is not a file in base64", found="neither JSON nor YAML") from None
    return dict(parse(document, "source_b64").secrets)


def more_keys(config: Config, params: dict[str, Any]) -> dict[str, str]:
    """Secrets for the names that the file lacks. Nothing has been changed when one cannot be had."""
    source = given(params["source_b64"])
    found: dict[str, str] = {}
    for name in params["keys"]:
        if name in config.secrets:
            if source.get(name, config.secrets[name]) != config.secrets[name]:
                raise RefusedError(
                    f"another control plane has another key of the name {name}",
                    where=params["path"],
                    found="two secrets",
                    next_step="compare the files of all control planes; the one that etcd's values need must stay",
                )
        elif name in source:
            found[name] = source[name]
        elif name == params["make"]:
            found[name] = new_secret(secrets.token_bytes)
        else:
            raise InputError(f"no secret for the key {name}", where=params["path"], next_step="give source_b64 or make")
    return found


def require_droppable(config: Config, params: dict[str, Any]) -> list[str]:
    """The keys that are dropped; each has to be named as unused."""
    dropped = [name for name in config.secrets if name not in params["keys"]]
    needed = sorted(set(dropped) - set(params["unused"]))
    if needed or not params["keys"] or len(set(params["keys"])) != len(params["keys"]):
        raise RefusedError(
            "a key would be lost that etcd's values may need",
            where=params["path"],
            found=f"{', '.join(needed) or 'no list of different names'}",
            next_step="name every key that the file has, or in unused those that nothing in etcd is under",
        )
    return dropped


def run(params: dict[str, Any], *, effects: bool) -> dict[str, Any]:
    """Look, or bring the keys into the order."""
    path = params["path"]
    config = encryption_host.read(path)
    before, kept = config.keys, ""
    if params["state"] == "present":
        dropped = require_droppable(config, params)
        more = more_keys(config, params)
        text = config.text(params["keys"], more)
        config = parse(load_yaml(text), path)
        if effects:
            encryption_host.sweep(path)
        if effects and config.keys != before:
            kept = encryption_host.set_aside(path, time.time()) if dropped else ""
            Host().write(path, text, 0o600)
    running = encryption_host.loaded(path)
    names = ["".join(f"{key.name}\n" for key in keys) for keys in (before, config.keys)]
    return {
        "changed": config.keys != before,
        "keys": [asdict(key) for key in config.keys],
        "loaded": None if running is None else [asdict(key) for key in running.keys],
        "rest": config.rest,
        "resources": list(config.resources),
        "kept": kept,
        "diff": dict(zip(("before", "after"), names)),
    }


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/etc/kubernetes/encryption/config.yaml"},
            "state": {"type": "str", "choices": ["seen", "present"], "required": True},
            "keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "make": {"type": "str", "default": ""},
            "unused": {"type": "list", "elements": "str", "default": []},
            "source_b64": {"type": "str", "default": "", "no_log": True},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**run(module.params, effects=not module.check_mode))
    except KubeadmError as exc:
        module.fail_json(**exc.result())


if __name__ == "__main__":
    main()
