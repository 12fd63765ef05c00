"""The runtime: it runs, speaks CRI, and runs with what the role was told."""

from __future__ import annotations

from testinfra.host import Host

from ansible_collections.quorum.kubeadm.plugins.module_utils.versions import component
from tests.consistency.repo import defaults

testinfra_hosts = ["ssh://w1"]
VERSION = defaults("kube")["kube_version"]


def test_service_runs_and_comes_back_after_a_reboot(host: Host) -> None:
    service = host.service("containerd")
    assert service.is_running
    assert service.is_enabled


def test_the_running_daemon_is_of_the_release(host: Host) -> None:
    server = host.check_output("ctr version").partition("Server:")[2]
    assert component(VERSION, "containerd") in server


def test_cri_is_loaded(host: Host) -> None:
    rows = [line.split() for line in host.check_output("ctr plugins ls").splitlines()]
    states = {(row[0], row[1]): row[-1] for row in rows if len(row) >= 4}
    assert states[("io.containerd.grpc.v1", "cri")] == "ok"


def test_the_configuration_in_force(host: Host) -> None:
    config = host.check_output("containerd config dump").replace("'", '"')
    assert "SystemdCgroup = true" in config
    assert f'sandbox = "registry.k8s.io/pause:{component(VERSION, "sandbox")}"' in config
    assert 'config_path = "/etc/containerd/certs.d"' in config


def test_mirrors_are_asked_in_order_before_the_registry(host: Host) -> None:
    mirror = host.file("/etc/containerd/certs.d/registry.k8s.io/hosts.toml")
    text = mirror.content_string
    assert text.index('server = "https://registry.k8s.io"') < text.index('[host."https://mirror.example.net"]')
    assert text.index("mirror.example.net") < text.index('[host."http://192.0.2.9:5000"]')
    assert (mirror.user, mirror.mode) == ("root", 0o644)


def test_it_was_not_restarted_by_the_second_run(host: Host) -> None:
    assert host.check_output("systemctl show containerd -P NRestarts") == "0"
    started = int(host.check_output("systemctl show containerd -P ExecMainStartTimestampMonotonic"))
    written = host.check_output("stat -c %Y /etc/containerd/config.toml")
    now = host.check_output("date +%s").strip()
    uptime = float(host.file("/proc/uptime").content_string.split()[0])
    assert abs((int(now) - uptime + started / 1e6) - int(written)) < 60
