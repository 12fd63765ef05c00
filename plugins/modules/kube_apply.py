#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply a manifest to the cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_apply
short_description: Apply a manifest by server-side apply
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Applies objects of any kind, as C(kubectl apply --server-side --force-conflicts) does, as the field manager
    C(quorum.kubeadm).
  - All objects are read and checked, and their kinds looked up in the API, before the first is applied.
  - Namespaces go first, then CustomResourceDefinitions, then the rest in the order of the manifest. It waits, up to
    O(timeout), only for a kind that the same manifest defines, never for pods.
  - An object is changed when its content, without its status, or the set of fields that belong to us is different
    afterwards. Fields that others set are left alone. Objects that left the manifest are not deleted.
options:
  manifest:
    description: The manifest's text, YAML with any number of documents, or JSON.
    type: str
  src:
    description: Path of a file with the manifest, on the host where the module runs.
    type: path
  objects:
    description: The manifest as parsed documents, for a host without PyYAML.
    type: list
    elements: dict
attributes:
  check_mode:
    description:
      - The API server answers from a dry run. An object in a namespace, or of a kind, that the same manifest would
        create first cannot be asked for and is reported as created.
    support: full
  diff_mode:
    description: One entry for each object that changes. Values of Secrets are never shown.
    support: full
notes:
  - A manifest that holds Secrets is an argument like any other. Set C(no_log) on the task, or use O(src).
requirements:
  - PyYAML, for O(manifest) or O(src) in YAML
extends_documentation_fragment:
  - quorum.kubeadm.kube_api
"""

EXAMPLES = r"""
- name: Install the pod network
  quorum.kubeadm.kube_apply:
    kubeconfig: "{{ kube_kubeconfig }}"
    manifest: "{{ lookup('ansible.builtin.template', 'flannel.yml.j2') }}"
  delegate_to: localhost

- name: Apply a manifest on a node without PyYAML
  quorum.kubeadm.kube_apply:
    kubeconfig: /etc/kubernetes/admin.conf
    objects: "{{ lookup('ansible.builtin.file', 'addon.yml') | from_yaml_all | list }}"
  delegate_to: "{{ kube_api_via }}"
"""

RETURN = r"""
objects:
  description: Every object of the manifest, in the order of applying.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: The object's kind.
      type: str
    namespace:
      description: The object's namespace; empty when it has none.
      type: str
    name:
      description: The object's name.
      type: str
    action:
      description: One of V(created), V(changed) and V(unchanged).
      type: str
  sample: [{kind: Namespace, namespace: "", name: kube-flannel, action: created}]
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils import kube_manifest
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError, InputError, KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import (
    ARGUMENTS,
    FIELD_MANAGER,
    KubeApi,
    open_api,
)

PAUSE = 0.2
Object = dict[str, Any]


def read(params: Mapping[str, Any]) -> list[Object]:
    """The objects of the manifest, wherever it is."""
    if params["objects"] is not None:
        documents = params["objects"]
    elif params["src"]:
        try:
            with open(params["src"], encoding="utf-8") as stream:
                documents = kube_manifest.load_manifest(stream.read(), params["src"])
        except (OSError, UnicodeDecodeError) as exc:
            raise InputError("The manifest cannot be read", where=params["src"], found=str(exc)) from exc
    else:
        documents = kube_manifest.load_manifest(params["manifest"], "manifest")
    objects = kube_manifest.flatten(documents)
    kube_manifest.refuse_duplicates(objects)
    return objects


class Run:
    """Applies the objects one after another, and remembers what it found."""

    def __init__(self, api: KubeApi, objects: list[Object], patience: float) -> None:
        self.api = api
        self.objects = objects
        self.patience = patience
        self.new_kinds = kube_manifest.defined_kinds(objects)
        self.new_namespaces: set[str] = set()
        self.results: list[Object] = []
        self.diff: list[Object] = []

    def all(self) -> Object:
        """Apply everything."""
        for obj in self.objects:
            if kube_manifest.group_kind(obj) not in self.new_kinds:
                self.api.resource(obj)
        for obj in self.objects:
            self._one(obj)
        changed = any(result["action"] != "unchanged" for result in self.results)
        return {"changed": changed, "objects": self.results, "diff": self.diff}

    def _one(self, obj: Object) -> None:
        try:
            before, after = self._patiently(obj)
        except ApiError as exc:
            if not (exc.status == 404 and self._foretold(obj)):
                exc.what = f"{kube_manifest.title(obj)} was not applied: {exc.what}"
                raise
            before, after = None, obj
        same = kube_manifest.essence(before, FIELD_MANAGER) == kube_manifest.essence(after, FIELD_MANAGER)
        action = "created" if before is None else "unchanged" if same else "changed"
        if action == "created" and obj["kind"] == "Namespace":
            self.new_namespaces.add(obj["metadata"]["name"])
        if action != "unchanged":
            self.diff.append(kube_manifest.difference(before, after))
        metadata = after["metadata"]
        names = {"namespace": metadata.get("namespace") or "", "name": metadata["name"]}
        self.results.append({"kind": obj["kind"], **names, "action": action})

    def _foretold(self, obj: Object) -> bool:
        """In a dry run what comes first is not stored, so what needs it cannot be asked for."""
        fresh = kube_manifest.group_kind(obj) in self.new_kinds
        return self.api.dry_run and (fresh or obj["metadata"].get("namespace") in self.new_namespaces)

    def _patiently(self, obj: Object, clock: Callable[[], float] = time.monotonic) -> tuple[Object | None, Object]:
        until = clock() + self.patience
        while True:
            try:
                before = self.api.find(self.api.resource(obj).path(obj))
                return before, self.api.apply(obj)
            except ApiError as exc:
                waiting = kube_manifest.group_kind(obj) in self.new_kinds and not self.api.dry_run
                if exc.status != 404 or not waiting or clock() > until:
                    raise
            time.sleep(PAUSE)


SPEC: dict[str, Any] = dict(
    ARGUMENTS,
    manifest={"type": "str"},
    src={"type": "path"},
    objects={"type": "list", "elements": "dict"},
)
WAYS = ["manifest", "src", "objects"]
RULES: dict[str, Any] = {"required_one_of": [WAYS], "mutually_exclusive": [WAYS]}


def call(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Read everything, then apply it."""
    objects = read(params)
    return Run(open_api(params, dry_run=check_mode), objects, params["timeout"]).all()


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True, **RULES)
    try:
        module.exit_json(**call(module.params, check_mode=module.check_mode))
    except KubeadmError as exc:
        module.fail_json(**exc.result())


if __name__ == "__main__":
    main()
