"""The kubelet's service: ready for kubeadm, started by kubeadm, and readable by root alone."""

from __future__ import annotations

import pytest
from testinfra.host import Host

testinfra_hosts = ["ssh://w1"]


def test_enabled_but_not_running_before_kubeadm_configures_it(host: Host) -> None:
    service = host.service("kubelet")
    assert service.is_enabled
    assert not service.is_running


def test_systemd_knows_the_unit_as_written(host: Host) -> None:
    assert host.check_output("systemctl show kubelet -P NeedDaemonReload") == "no"
    start = host.check_output("systemctl show kubelet -P ExecStart")
    for word in ("/usr/bin/kubelet", "$KUBELET_KUBECONFIG_ARGS", "$KUBELET_CONFIG_ARGS", "$KUBELET_KUBEADM_ARGS"):
        assert word in start
    assert "/etc/kubernetes/bootstrap-kubelet.conf" in host.check_output("systemctl show kubelet -P Environment")
    assert host.run("systemd-analyze verify /etc/systemd/system/kubelet.service").rc == 0


def test_extra_arguments_reach_the_service(host: Host) -> None:
    assert host.file("/etc/default/kubelet").content_string == "KUBELET_EXTRA_ARGS=--v=1\n"
    assert "/etc/default/kubelet" in host.check_output("systemctl show kubelet -P EnvironmentFiles")


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("/etc/systemd/system/kubelet.service", 0o600),
        ("/etc/kubernetes/manifests", 0o700),
        ("/var/lib/kubelet", 0o700),
    ],
)
def test_modes_of_the_cis_benchmark(host: Host, path: str, mode: int) -> None:
    found = host.file(path)
    assert (found.user, found.group, found.mode) == ("root", "root", mode)
