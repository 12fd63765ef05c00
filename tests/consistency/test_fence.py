"""The fence of the run lock: every module that changes something has it, every playbook that does takes the lock."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.plugin_utils.fenced_action import FencedAction
from tests.consistency.repo import MODULES, ROOT, load, tasks

# They change nothing on any host, or are what the lock itself is made of.
LOOKS = {
    "bundle_make", "certificate_info", "certificate_report", "cluster_info", "cluster_verify", "control_plane_info",
    "encryption_plan", "encryption_stored", "etcd_gate", "etcd_info", "kubeconfig", "node_info", "recover_plan",
    "removal_plan", "renewal_plan", "reset_plan", "reset_report", "restore_plan", "run_lock", "site_plan",
    "upgrade_plan", "upgrade_record", "verify_report",
}  # fmt: skip
# They change no cluster, are parts of those that do, or only refuse before they import one (add_nodes).
WITHOUT = {"bundle", "certificates", "verify", "roll_nodes", "removal", "add_nodes"}
PLAYBOOKS = sorted(path for path in (ROOT / "playbooks").glob("*.yml") if path.stem not in WITHOUT)
TAKES = "tasks/take_run_lock.yml"


@pytest.mark.parametrize("module", [module for module in MODULES if module not in LOOKS])
def test_what_changes_something_is_fenced(module: str) -> None:
    assert (ROOT / "plugins" / "action" / f"{module}.py").exists(), f"{module} needs an action: FencedModule, or LOOKS"
    action = importlib.import_module(f"ansible_collections.quorum.kubeadm.plugins.action.{module}").ActionModule
    assert issubclass(action, FencedAction)
    assert action.CHANGES


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_what_changes_a_cluster_takes_the_lock_first(path: Path) -> None:
    play = load(path)[0]
    imported = play.get("ansible.builtin.import_playbook")
    if imported:
        assert ROOT / "playbooks" / imported in PLAYBOOKS, "the first play is another's, which takes it"
        return
    (first, *_others) = tasks(path)
    named = first["ansible.builtin.import_tasks"]
    (inner, *_others) = tasks(ROOT / "playbooks" / named)
    assert TAKES in (named, f"tasks/{inner.get('ansible.builtin.import_tasks')}")


def test_the_lock_is_one_task_of_the_run() -> None:
    (task,) = tasks(ROOT / "playbooks" / TAKES)
    assert task["run_once"]
    assert "quorum.kubeadm.run_lock" in task
