# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests and discovery: what is read, in which order it is applied, and what counts as a change."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import kube_manifest
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError, InputError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_resources import Discovery, Resource

Object = dict[str, Any]
KINDS = st.sampled_from(["Namespace", "CustomResourceDefinition", "ConfigMap", "Secret", "DaemonSet"])


def make(kind: str = "ConfigMap", name: str = "a", **more: Any) -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **more}


@given(st.lists(KINDS))
def test_what_others_live_in_comes_first_and_the_rest_keeps_its_order(kinds: list[str]) -> None:
    objects = [make(kind, f"n{number}") for number, kind in enumerate(kinds)]
    found = kube_manifest.flatten(objects)
    ranks = [{"Namespace": 0, "CustomResourceDefinition": 1}.get(obj["kind"], 2) for obj in found]
    assert ranks == sorted(ranks)
    for rank in range(3):
        names = [int(obj["metadata"]["name"][1:]) for obj, its in zip(found, ranks) if its == rank]
        assert names == sorted(names)
    assert len(found) == len(objects)


def test_lists_are_unpacked_and_empty_documents_left_out() -> None:
    inner = {"apiVersion": "v1", "kind": "ConfigMapList", "items": [make(name="b")]}
    found = kube_manifest.flatten([None, {"apiVersion": "v1", "kind": "List", "items": [make(), inner]}, None])
    assert [obj["metadata"]["name"] for obj in found] == ["a", "b"]


@pytest.mark.parametrize(
    "obj",
    [
        3,
        [],
        {},
        make(name=""),
        make(name=".."),
        make(name="a/b"),
        make(kind="x y"),
        {**make(), "apiVersion": "../v1"},
        {**make(), "metadata": {"name": "a", "namespace": "../kube-system"}},
        {**make(), "metadata": ["name"]},
        make(data={"a": b"bytes"}),
        make(data={"a": float("nan")}),
    ],
)
def test_what_is_no_object_is_refused_with_its_number(obj: Any) -> None:
    with pytest.raises(InputError, match="Object number 2"):
        kube_manifest.flatten([make(), obj])


def test_yaml_means_what_it_means_to_kubernetes() -> None:
    text = "# first\na: 2026-01-31\nb: 2026-01-31T12:00:00Z\n---\n---\nc: [1, 'x']\n"
    documents = kube_manifest.load_manifest(text, "m")
    assert documents == [{"a": "2026-01-31", "b": "2026-01-31T12:00:00Z"}, None, {"c": [1, "x"]}]
    assert kube_manifest.load_manifest('{"a": 1}\n---\n{"b": 2}', "m") == [{"a": 1}, {"b": 2}]


def test_yaml_that_is_none_is_refused_with_the_place() -> None:
    with pytest.raises(InputError, match="line 2, column 5"):
        kube_manifest.load_manifest("a: 1\nb: c: d\n", "m")
    with pytest.raises(InputError, match="not valid YAML"):
        kube_manifest.load_manifest("a: !!python/object/apply:os.system ['true']", "m")


def test_the_same_name_in_another_namespace_kind_or_group_is_no_duplicate() -> None:
    spaced = {**make(), "metadata": {"name": "a", "namespace": "x"}}
    grouped = {**make(), "apiVersion": "x.org/v1"}
    kube_manifest.refuse_duplicates([make(), spaced, make(kind="Secret"), grouped])
    with pytest.raises(InputError, match="ConfigMap x/a stands twice"):
        kube_manifest.refuse_duplicates([spaced, make(), spaced])
    with pytest.raises(InputError, match="twice"):
        kube_manifest.refuse_duplicates([grouped, {**grouped, "apiVersion": "x.org/v2"}])


def test_status_and_the_servers_own_fields_are_no_change_but_ownership_is() -> None:
    def stored(version: str, status: int, fields: Object) -> Object:
        obj = make(status={"ready": status}, data={"a": "b"})
        other = {"manager": "kubelet", "operation": "Update", "time": version, "fieldsV1": {"n": version}}
        ours = {"manager": "us", "operation": "Apply", "time": version, "fieldsV1": fields}
        obj["metadata"].update(resourceVersion=version, generation=int(version), managedFields=[other, ours])
        return obj

    first = kube_manifest.essence(stored("1", 0, {"f:data": {}}), "us")
    assert first == kube_manifest.essence(stored("2", 5, {"f:data": {}}), "us")
    assert first != kube_manifest.essence(stored("2", 0, {}), "us")
    assert kube_manifest.essence(None, "us") is None


def test_a_diff_shows_no_value_of_a_secret() -> None:
    before = make("Secret", data={"same": "c2VjcmV0", "old": "c2VjcmV0", "gone": "c2VjcmV0"})
    after = make("Secret", data={"same": "c2VjcmV0", "old": "bmV3"}, stringData={"raw": "plain"})
    after["metadata"]["annotations"] = {"copy": "c2VjcmV0"}
    diff = kube_manifest.difference(before, after)
    assert diff["before"]["data"] == dict.fromkeys(("same", "old", "gone"), "(secret)")
    assert diff["after"]["data"] == {"same": "(secret)", "old": "(secret, changed)"}
    assert not {"c2VjcmV0", "bmV3", "plain"} & set(str(diff).replace("'", " ").split())
    assert before["data"]["old"] == "c2VjcmV0"


class Api:
    """An API that has these resources by path, and counts."""

    def __init__(self, **paths: list[Object]) -> None:
        self.paths = {"/" + name.replace("__", "/"): found for name, found in paths.items()}
        self.asked: list[str] = []

    def get(self, path: str) -> Object:
        self.asked.append(path)
        if path not in self.paths:
            raise ApiError("not found", status=404)
        return {"resources": self.paths[path]}


PODS = {"name": "pods", "kind": "Pod", "namespaced": True}
NODES = {"name": "nodes", "kind": "Node", "namespaced": False}


def test_a_kind_is_asked_for_once_per_group_and_version() -> None:
    api = Api(api__v1=[{"name": "pods/status", "kind": "Pod", "namespaced": True}, PODS, NODES])
    discovery = Discovery(api.get)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a:b", "namespace": "x y"}}
    assert discovery.resource(pod).path(pod) == "/api/v1/namespaces/x%20y/pods/a%3Ab"
    assert discovery.resource(make("Node")).path(make("Node")) == "/api/v1/nodes/a"
    assert discovery.resource(make("Pod")).path(make("Pod")) == "/api/v1/namespaces/default/pods/a"
    assert api.asked == ["/api/v1"]


def test_a_kind_that_appears_later_is_found_later() -> None:
    api = Api()
    discovery = Discovery(api.get)
    thing = {"apiVersion": "x.org/v1", "kind": "Thing", "metadata": {"name": "a"}}
    with pytest.raises(ApiError, match=r"does not know the kind Thing in x\.org/v1"):
        discovery.resource(thing)
    api.paths["/apis/x.org/v1"] = [{"name": "things", "kind": "Thing", "namespaced": False}]
    assert discovery.resource(thing) == Resource("/apis/x.org/v1", "things", namespaced=False)
