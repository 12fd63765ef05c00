"""Where the kubeconfig is kept: Ansible must not read it as an inventory, nor git take it in."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader

from tests.consistency.repo import ROOT, defaults

PLACE = defaults("kube")["kube_kubeconfig"]


def place(inventory: Path) -> Path:
    return Path(re.sub(r"{{ *inventory_dir *}}", str(inventory), PLACE))


def test_ansible_passes_over_it(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory"
    path = place(inventory)
    path.parent.mkdir(parents=True)
    (inventory / "hosts.yml").write_text("---\nall:\n  hosts:\n    one:\n")
    # As an inventory it would add hosts, so that nobody has to look for a warning.
    path.write_text("two\nthree\n")
    hosts = InventoryManager(DataLoader(), sources=[str(inventory)]).get_hosts()
    assert [host.name for host in hosts] == ["one"]
    assert {host.vars["inventory_dir"] for host in hosts} == {str(inventory)}


def test_git_passes_over_it() -> None:
    path = place(ROOT / "inventories" / "some")
    asked = subprocess.run(["git", "check-ignore", "-q", str(path)], cwd=ROOT, check=False)
    assert asked.returncode == 0
