# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What answers on a control plane."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.control_plane_gate import ControlPlane
from ansible_collections.quorum.kubeadm.plugins.module_utils.static_pods import API, COMPONENTS, ETCD
from ansible_collections.quorum.kubeadm.plugins.modules.control_plane_info import look
from tests.unit.plugins.modules.support import run_module

MANAGER, SCHEDULER = "kube-controller-manager", "kube-scheduler"


class Pods:
    """Components with a manifest, and what those that are ill answer."""

    def __init__(self, *components: str, **ill: str) -> None:
        self.files = {name: f"{name}'s manifest" for name in components}
        self.ill = {name.replace("_", "-"): found for name, found in ill.items()}

    def manifests(self) -> dict[str, str]:
        return self.files

    def answers(self, component: str, manifest: str) -> str:
        assert manifest == f"{component}'s manifest"
        return self.ill.get(component, "")


ALL = {"api": True, "controller_manager": True, "scheduler": True, "etcd": True}
STACKED, EXTERNAL = COMPONENTS, (API, MANAGER, SCHEDULER)


@pytest.mark.parametrize(
    ("pods", "silent_parts", "silent"),
    [
        (Pods(*STACKED), [], {}),
        (Pods(*STACKED, etcd="503"), ["etcd"], {ETCD: "503"}),
        (Pods(*STACKED, kube_apiserver="it does not run"), ["api"], {API: "it does not run"}),
        (Pods(*EXTERNAL), [], {}),
        # Without its etcd an API server is not ready; whose fault it is nobody knows.
        (Pods(*EXTERNAL, kube_apiserver="500"), ["api", "etcd"], {API: "500"}),
        (Pods(ETCD, API, SCHEDULER), ["controller_manager"], {MANAGER: "it has no manifest"}),
        (Pods(), list(ALL), dict.fromkeys(EXTERNAL, "it has no manifest")),
    ],
)
def test_what_answers(pods: Pods, silent_parts: list[str], silent: dict[str, str]) -> None:
    found = look("cp2", pods)
    assert found["control_plane"] == {"name": "cp2", **ALL, **dict.fromkeys(silent_parts, False)}
    assert found["silent"] == silent


def test_it_is_an_element_of_the_gates_question() -> None:
    assert ControlPlane(**look("cp2", Pods(*STACKED))["control_plane"]).silent == ()


def test_all_are_asked_at_the_same_time() -> None:
    together = threading.Barrier(len(STACKED), timeout=10)

    class Waiting(Pods):
        def answers(self, component: str, manifest: str) -> str:
            together.wait()
            return ""

    assert look("cp2", Waiting(*STACKED))["silent"] == {}


@pytest.mark.parametrize("check", [False, True])
def test_as_ansible_calls_it(check: bool) -> None:
    result: dict[str, Any] = run_module("control_plane_info", {"name": "cp2"}, check=check)
    assert result["changed"] is False
    assert set(result["control_plane"]) == {"name", *ALL}
    assert result["control_plane"]["name"] == "cp2"
