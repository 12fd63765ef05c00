# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels and taints: plans that reach what is wanted and never touch what is not ours."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import kube_nodes
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError

Object = dict[str, Any]
KEYS = st.sampled_from(["a", "a.b", "ab", "x.org/a", "x.org/b"])
VALUES = st.sampled_from(["", "1", "two"])
LABELS = st.dictionaries(KEYS, VALUES)
IDS = st.tuples(KEYS, st.sampled_from(kube_nodes.EFFECTS))
TAINTS = st.dictionaries(IDS, VALUES)
WANTS = st.builds(kube_nodes.Want, LABELS, TAINTS)


def as_list(taints: dict[tuple[str, str], str]) -> list[Object]:
    return [{"key": key, "effect": effect, **({"value": v} if v else {})} for (key, effect), v in taints.items()]


def make_node(labels: dict[str, str], taints: dict[tuple[str, str], str], **annotations: str) -> Object:
    metadata = {"name": "n", "labels": dict(labels), "resourceVersion": "7"}
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"metadata": metadata, "spec": {"taints": as_list(taints)} if taints else {}}


def merged(node: Object, patch: Object | None) -> Object:
    """RFC 7386, as the API server does it."""

    def merge(old: Any, new: Any) -> Any:
        if not isinstance(new, dict):
            return new
        out = dict(old) if isinstance(old, dict) else {}
        for key, value in new.items():
            out[key] = merge(out.get(key), value)
            if value is None:
                del out[key]
        return out

    result: Object = merge(copy.deepcopy(node), patch or {})
    return result


def labels_of(node: Object) -> dict[str, str]:
    found: dict[str, str] = node["metadata"].get("labels") or {}
    return found


def taints_of(node: Object) -> dict[tuple[str, str], str]:
    return {(taint["key"], taint["effect"]): taint.get("value", "") for taint in node["spec"].get("taints") or []}


@given(LABELS, TAINTS, WANTS, WANTS)
def test_two_inventories_one_after_the_other(
    labels: dict[str, str], taints: dict[tuple[str, str], str], first: kube_nodes.Want, second: kube_nodes.Want
) -> None:
    start = make_node(labels, taints)
    one = merged(start, kube_nodes.plan(start, first))
    two = merged(one, kube_nodes.plan(one, second))
    for before, after, want in ((start, one, first), (one, two, second)):
        assert want.labels.items() <= labels_of(after).items()
        assert want.taints.items() <= taints_of(after).items()
        assert kube_nodes.plan(after, want) is None
        assert [key for key in taints_of(before) if key in taints_of(after)] == list(taints_of(after))[
            : len(set(taints_of(before)) & set(taints_of(after)))
        ]
    # Gone is what the first set and the second does not want; everything that neither names is as it was.
    assert labels_of(two).keys() == ((labels_of(one).keys() - first.labels.keys()) | second.labels.keys())
    assert taints_of(two).keys() == ((taints_of(one).keys() - first.taints.keys()) | second.taints.keys())
    untouched = labels.keys() - first.labels.keys() - second.labels.keys()
    assert all(labels_of(two)[key] == labels[key] for key in untouched)


@given(LABELS, TAINTS)
def test_wanting_nothing_of_a_node_that_never_had_anything_of_ours_is_no_step(
    labels: dict[str, str], taints: dict[tuple[str, str], str]
) -> None:
    assert kube_nodes.plan(make_node(labels, taints), kube_nodes.Want({}, {})) is None


def test_a_patch_changes_only_what_was_read() -> None:
    patch = kube_nodes.plan(make_node({}, {}), kube_nodes.Want({"a": "b"}, {}))
    assert patch is not None
    assert patch["metadata"]["resourceVersion"] == "7"
    assert "spec" not in patch


@pytest.mark.parametrize("note", ["", "{", "[]", "null", '{"labels": 3}', '{"taints": [["a"]]}', '{"taints": [1]}'])
def test_a_spoilt_note_counts_as_none(note: str) -> None:
    node = make_node({"a": "b"}, {}, **{kube_nodes.ANNOTATION: note})
    after = merged(node, kube_nodes.plan(node, kube_nodes.Want({}, {})))
    assert labels_of(after) == {"a": "b"}
    assert kube_nodes.ANNOTATION not in after["metadata"].get("annotations", {})


def test_what_yaml_makes_of_a_value_is_taken_as_it_was_meant() -> None:
    assert kube_nodes.want("n", {"labels": {"gpu": True, "count": 3, "empty": ""}}).labels == {
        "gpu": "true",
        "count": "3",
        "empty": "",
    }
    assert kube_nodes.want("n", {"taints": [{"key": "a", "value": None, "effect": "NoSchedule"}]}).taints == {
        ("a", "NoSchedule"): ""
    }


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        {"labels": []},
        {"labels": {"": "x"}},
        {"labels": {"a/b/c": "x"}},
        {"labels": {"-a": "x"}},
        {"labels": {"a": "x\n"}},
        {"labels": {"a": None}},
        {"labels": {"a": 1.5}},
        {"labels": {"a": "{{ x }}"}},
        {"labels": {"UPPER.org/a": "x"}},
        {"taints": ["a=b:NoSchedule"]},
        {"taints": [{"key": "a"}]},
        {"taints": [{"key": "a", "effect": "NoSchedule", "operator": "Exists"}]},
        {"other": 1},
    ],
)
def test_what_a_node_cannot_take_is_refused_with_its_name(raw: Any) -> None:
    with pytest.raises(InputError, match="node n1"):
        kube_nodes.want("n1", raw)
