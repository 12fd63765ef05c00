# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What verification creates: with as few rights as possible."""

from __future__ import annotations

from ansible_collections.quorum.kubeadm.plugins.module_utils import verify_objects as subject


def test_pods_stand_where_they_are_put_with_as_few_rights_as_possible() -> None:
    pod = subject.pod_object("probe-0", "cp1", "example.test/agnhost:1")
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    assert spec["nodeName"] == "cp1"
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["imagePullPolicy"] == "IfNotPresent"
    labels = subject.namespace_object("x")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_service_is_over_all_pods_and_at_the_port_where_they_serve() -> None:
    service, pod = subject.service_object(), subject.pod_object("probe-0", "cp1", "example.test/agnhost:1")
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    ports = [port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]]
    assert [port["targetPort"] for port in service["spec"]["ports"]] == ports
