# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_reset and its playbook on a real kernel: interfaces, rules, namespaces and mounts go, those of others stay."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.integration.reset_world import OUR_NETNS, PODMAN_CHAIN, UNSHARE, VIP
from tests.integration.support import ROOT

OTHERS = ["lo", "cni00", "mycni0", "flannel.10", "cali-mine", "docker0"]
OTHERS_FILES = {
    "/etc/cni/net.d/87-podman.conflist",
    "/etc/haproxy/errors/400.http",
    "/etc/kubernetes/notes.txt",
    "/etc/passwd",
    "/var/lib/bob/.kube/config",
    "/var/lib/cni/networks/podman/10.88.0.5",
    "/var/lib/people/data",
    "/var/lib/quorum-kubeadm/bundle.json",
}


def inside(scenario: str) -> dict[str, Any]:
    """What the scenario found in a network, mounts and processes of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / ".build" / "collections")])}
    argv = [*UNSHARE, sys.executable, "-m", "tests.integration.reset_world", scenario]
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode != 0,
    reason="a network and mounts of its own need root",
)


def test_everything_of_ours_goes_and_nothing_else() -> None:
    found = inside("whole")
    assert found["wrong"]["error"]["what"].startswith("the confirmation is not the name")
    assert found["unknown"]["error"]["what"].startswith("whether this host is a member")
    assert found["check"]["changed"] is True
    # Refused and told: nothing has changed.
    assert found["refused_or_told"] == found["before"]
    assert [step.split("-removed-")[0] for step in found["done"]["steps"]] == [
        step.split("-removed-")[0] for step in found["check"]["steps"]
    ]
    assert found["done"]["leftovers"] == []
    after = found["after"]
    assert after["links"] == OTHERS
    assert after["addresses"] == ["127.0.0.1/8", "192.0.2.10/24"]
    assert f"{VIP}/32" in found["before"]["addresses"]
    assert after["netns"] == ["cni-mine", "mine"]
    assert OUR_NETNS in found["before"]["netns"]
    assert after["chains"] == ["MINE-KUBE-LIKE"]
    assert ("KUBE-LEGACY" in found["before"]["chains"]) is found["legacy"]
    assert [rule.split(" -j ")[1] for rule in after["rules"]] == [
        "DROP",
        "REDIRECT --to-ports 8081",
        "MINE-KUBE-LIKE",
    ]
    assert after["tables"] == ["table ip kube-proxy-mine"]
    assert len(found["before"]["mounts"]) == 4
    assert after["mounts"] == ["/var/lib/other"]
    kept = {path for path in after["files"] if "/etcd-removed-" not in path}
    assert kept == OTHERS_FILES
    assert [path for path in after["files"] if path.endswith("/snap/db")] == [
        f"{found['done']['etcd_data'][0]}/snap/db"
    ]
    assert found["again"]["steps"] == found["again"]["leftovers"] == []
    assert found["again"]["changed"] is False


def test_chains_that_another_runtime_shares_stay() -> None:
    found = inside("podman")
    assert found["done"]["leftovers"] == []
    assert found["after"]["chains"] == [PODMAN_CHAIN, "CNI-HOSTPORT-DNAT", "MINE-KUBE-LIKE"]
    assert len([rule for rule in found["after"]["rules"] if "podman" in rule]) == 1


def test_a_machine_that_was_never_ours_is_left_as_it_is() -> None:
    found = inside("blank")
    assert found["done"]["changed"] is False
    assert found["done"]["steps"] == found["done"]["leftovers"] == []
    assert found["after"] == found["before"]


def test_the_playbook_refuses_tells_and_resets() -> None:
    found = inside("playbook")
    for case, words in {
        "unnamed": "no host was named. Where: reset_hosts",
        "misspelt": "the inventory has no cp. Where: reset_hosts. Found: the hosts of this cluster are cp1, w1",
        "unconfirmed": "add -e reset_confirm=kubernetes",
        "needed": "whether this host is a member of an etcd that runs cannot be asked",
    }.items():
        assert found[case]["code"] == 2, case
        assert words in " ".join(found[case]["out"].split()), case
    assert "  - stop and disable kubelet.service\n" in found["check"]["out"]
    assert "UNREACHABLE  w1" in found["check"]["out"]
    # Files that Ansible has written for itself are in /run.
    assert found["untouched"] == found["before"]
    assert found["all"]["code"] == 2, "one of the hosts does not answer"
    assert "reset: 1 of 2 hosts are not blank: w1" in found["all"]["out"]
    assert found["after"]["links"] == OTHERS
    assert found["after"]["chains"] == ["MINE-KUBE-LIKE"]
    assert {path for path in found["after"]["files"] if "/etcd-removed-" not in path} == OTHERS_FILES
    assert found["again"]["code"] == 0, found["again"]["out"]
    assert "changed=0" in found["again"]["out"]
    assert "reset: 1 of 1 hosts blank; nothing has stayed" in found["again"]["out"]
