# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kube_apply against a real API server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.conftest import Run
from tests.integration.servers import Cluster

# The order is wrong on purpose: what lives in the namespace stands before it, an instance before its definition.
MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings, namespace: {space}}}
data: {{mode: "{mode}", since: 2026-01-31}}
---
apiVersion: {group}/v1
kind: {kind}
metadata: {{name: first, namespace: {space}}}
spec: {{size: 3}}
---
# Nothing but a comment.
---
apiVersion: v1
kind: Namespace
metadata: {{name: {space}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {plural}.{group}}}
spec:
  group: {group}
  scope: Namespaced
  names: {{kind: {kind}, plural: {plural}, singular: {singular}}}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
---
apiVersion: v1
kind: List
items:
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRole
    metadata: {{name: "{space}:reader"}}
    rules: [{{apiGroups: [""], resources: [pods], verbs: [get]}}]
  - apiVersion: apps/v1
    kind: DaemonSet
    metadata: {{name: agent, namespace: {space}}}
    spec:
      selector: {{matchLabels: {{app: agent}}}}
      template:
        metadata: {{labels: {{app: agent}}}}
        spec: {{containers: [{{name: agent, image: "registry.invalid/agent:1"}}]}}
"""


@pytest.fixture
def manifest(request: pytest.FixtureRequest) -> Callable[..., str]:
    """A manifest whose names no other test has."""
    number = abs(hash(request.node.name)) % 10**8

    def make(mode: str = "fast") -> str:
        names = {"space": f"apply-{number}", "group": f"g{number}.example.org", "kind": f"Thing{number}"}
        return MANIFEST.format(mode=mode, plural=f"thing{number}s", singular=f"thing{number}", **names)

    return make


def actions(result: dict[str, Any]) -> list[tuple[str, str]]:
    assert not result.get("failed"), result["msg"]
    return [(entry["kind"].rstrip("0123456789"), entry["action"]) for entry in result["objects"]]


def everything(action: str) -> list[tuple[str, str]]:
    kinds = ("Namespace", "CustomResourceDefinition", "ConfigMap", "Thing", "ClusterRole", "DaemonSet")
    return [(kind, action) for kind in kinds]


def version(cluster: Cluster, kind: str, name: str, space: str) -> str:
    return str(cluster.kubectl_json("get", kind, name, "-n", space)["metadata"]["resourceVersion"])


def space_of(text: str) -> str:
    return next(str(doc["metadata"]["name"]) for doc in yaml.safe_load_all(text) if doc and doc["kind"] == "Namespace")


def test_created_in_order_then_unchanged_and_check_mode_says_so_before(
    cluster: Cluster, module: Run, manifest: Callable[..., str]
) -> None:
    text = manifest()
    predicted = module("kube_apply", check=True, manifest=text)
    assert not cluster.kubectl("get", "namespace", space_of(text), "--ignore-not-found")
    real = module("kube_apply", manifest=text)
    assert actions(predicted) == actions(real) == everything("created")
    assert predicted["changed"] is real["changed"] is True
    assert cluster.kubectl_json("get", "configmap", "settings", "-n", space_of(text))["data"]["since"] == "2026-01-31"
    before = version(cluster, "daemonset", "agent", space_of(text))
    second = module("kube_apply", manifest=text)
    assert actions(second) == everything("unchanged")
    assert (second["changed"], second["diff"]) == (False, [])
    assert version(cluster, "daemonset", "agent", space_of(text)) == before
    assert actions(module("kube_apply", check=True, manifest=text)) == everything("unchanged")


def test_one_change_is_predicted_shown_and_made(cluster: Cluster, module: Run, manifest: Callable[..., str]) -> None:
    module("kube_apply", manifest=manifest())
    predicted = module("kube_apply", check=True, manifest=manifest("slow"))
    space = space_of(manifest())
    assert cluster.kubectl_json("get", "configmap", "settings", "-n", space)["data"]["mode"] == "fast"
    real = module("kube_apply", manifest=manifest("slow"))
    assert actions(predicted) == actions(real)
    assert predicted["diff"] == real["diff"]
    assert [entry["before_header"] for entry in real["diff"]] == [f"ConfigMap {space}/settings"]
    assert real["diff"][0]["before"]["data"]["mode"] == "fast"
    assert real["diff"][0]["after"]["data"]["mode"] == "slow"
    assert cluster.kubectl_json("get", "configmap", "settings", "-n", space)["data"]["mode"] == "slow"


def test_what_others_changed_is_taken_back_and_what_they_added_is_kept(cluster: Cluster, module: Run) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\ndata: {ours: a}\n"
    module("kube_apply", manifest=text)
    cluster.kubectl("patch", "configmap", "shared", "-p", '{"data": {"ours": "b", "theirs": "c"}}')
    assert module("kube_apply", manifest=text)["changed"]
    assert cluster.kubectl_json("get", "configmap", "shared")["data"] == {"ours": "a", "theirs": "c"}
    without = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\n"
    assert module("kube_apply", check=True, manifest=without)["changed"]
    module("kube_apply", manifest=without)
    assert cluster.kubectl_json("get", "configmap", "shared")["data"] == {"theirs": "c"}


def test_a_status_that_changes_is_no_change_of_ours(
    cluster: Cluster, module: Run, manifest: Callable[..., str]
) -> None:
    text = manifest()
    module("kube_apply", manifest=text)
    status = '{"status": {"numberReady": 1, "currentNumberScheduled": 2}}'
    cluster.kubectl(
        "patch", "daemonset", "agent", "-n", space_of(text), "--subresource=status", "--type=merge", "-p", status
    )
    assert not module("kube_apply", manifest=text)["changed"]


def test_secrets_are_never_shown(module: Run) -> None:
    def secret(value: str) -> list[dict[str, Any]]:
        metadata = {"name": "hidden", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": value}}
        return [{"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"a": value, "b": "same"}}]

    first = module("kube_apply", objects=secret("first-value"))
    second = module("kube_apply", objects=secret("second-value"))
    assert second["diff"][0]["before"]["data"] == {"a": "(secret)", "b": "(secret)"}
    assert second["diff"][0]["after"]["data"] == {"a": "(secret, changed)", "b": "(secret)"}
    for hidden in ("first-value", "second-value", "Zmlyc3QtdmFsdWU", "c2Vjb25kLXZhbHVl"):
        assert hidden not in str({key: value for key, value in first.items() if key != "invocation"})
        assert hidden not in str({key: value for key, value in second.items() if key != "invocation"})


def test_from_a_file_in_json_without_pyyaml(module: Run, tmp_path: Path) -> None:
    (tmp_path / "yaml.py").write_text("raise ImportError('blocked')\n")
    source = tmp_path / "one.json"
    source.write_text('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "from-json"}}')
    assert actions(module("kube_apply", before=[tmp_path], src=str(source))) == [("ConfigMap", "created")]
    result = module("kube_apply", before=[tmp_path], manifest="apiVersion: v1")
    assert "Reading YAML needs PyYAML" in result["msg"]


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("a: [", "The manifest is not valid YAML"),
        ("- 1", "Object number 1 of the manifest is not a Kubernetes object"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: x-}", "metadata.name missing"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ../nodes}", "metadata.name missing or not valid"),
        ("apiVersion: v1\nkind: Nonsense\nmetadata: {name: x}", "The API does not know the kind Nonsense in v1"),
        (
            "apiVersion: no.such/v1\nkind: Thing\nmetadata: {name: x}",
            "The API does not know the kind Thing in no.such/v1",
        ),
    ],
)
def test_a_bad_object_is_refused_before_a_good_one_is_applied(
    cluster: Cluster, module: Run, manifest: str, words: str
) -> None:
    good = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: not-yet}\n---\n"
    result = module("kube_apply", manifest=manifest if manifest == "- 1" else good + manifest)
    assert result["failed"]
    assert words in result["msg"]
    assert not cluster.kubectl("get", "configmap", "not-yet", "--ignore-not-found")


def test_twice_the_same_object_is_refused(module: Run) -> None:
    one = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: twin}\n"
    assert "ConfigMap twin stands twice in the manifest" in module("kube_apply", manifest=f"{one}---\n{one}")["msg"]


def test_what_the_server_refuses_is_named(module: Run) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Not_Allowed}\n"
    result = module("kube_apply", manifest=text)
    assert "ConfigMap Not_Allowed was not applied" in result["msg"]
    assert "RFC 1123" in result["error"]["found"]
    lost = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: no-such-space}\n"
    for check in (True, False):
        assert 'namespaces "no-such-space" not found' in module("kube_apply", check=check, manifest=lost)["msg"]
