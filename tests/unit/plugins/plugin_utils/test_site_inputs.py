"""The digest of what a host's tasks are made from: every difference that could change a task changes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.plugin_utils import role_arguments, site_inputs
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.site_inputs import (
    collection_digest,
    inputs_digest,
    shared_inputs,
)

VALUES = {"kube_vip": "192.0.2.1", "containerd_registry_mirrors": {"docker.io": {"endpoints": []}}}
SHARED = {"groups": {"control_plane": ["cp1"]}, "addresses": {"cp1": "192.0.2.2"}, "os_family": "Debian"}


def test_the_same_inputs_have_the_same_digest_whatever_their_order() -> None:
    turned = dict(reversed(list(VALUES.items())))
    assert inputs_digest("cp1", VALUES, SHARED) == inputs_digest("cp1", turned, SHARED) != ""


def test_the_order_of_a_group_does_not_count_and_its_members_do() -> None:
    one = shared_inputs({"worker": ["w1", "w2"]}, {}, "Debian")
    assert one == shared_inputs({"worker": ["w2", "w1"]}, {}, "Debian")
    assert one != shared_inputs({"worker": ["w1"]}, {}, "Debian")


def test_any_difference_changes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        inputs_digest("cp1", VALUES, SHARED),
        inputs_digest("cp2", VALUES, SHARED),
        inputs_digest("cp1", {**VALUES, "kube_vip": "192.0.2.9"}, SHARED),
        inputs_digest("cp1", VALUES, {**SHARED, "addresses": {"cp1": "192.0.2.3"}}),
    }
    monkeypatch.setattr(site_inputs, "collection_digest", lambda: "another collection")
    assert len(found | {inputs_digest("cp1", VALUES, SHARED)}) == 5


def test_of_a_secret_not_even_a_hash_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(role_arguments, "all_options", lambda: {"kube_password": {"type": "str", "no_log": True}})
    assert inputs_digest("cp1", {**VALUES, "kube_password": "x"}, SHARED) == ""
    assert inputs_digest("cp1", VALUES, SHARED) != ""


@pytest.mark.parametrize("path", ["roles/a/templates/x.j2", "plugins/modules/b.py", "playbooks/site.yml"])
def test_every_file_of_the_collection_counts(tmp_path: Path, path: str) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text("one")
    (file.parent / "__pycache__").mkdir()
    found = {collection_digest.__wrapped__(tmp_path)}
    (file.parent / "__pycache__" / "x.pyc").write_text("compiled")
    found.add(collection_digest.__wrapped__(tmp_path))
    assert len(found) == 1, "what Python compiled is not the collection's"
    file.write_text("two")
    assert collection_digest.__wrapped__(tmp_path) not in found
    file.rename(file.with_name("other"))
    assert len(found | {collection_digest.__wrapped__(tmp_path)}) == 2
