"""What every supported system would be given: package names, repositories, files and SELinux, rendered by Ansible."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.quorum.kubeadm.plugins.module_utils import host_facts, repository
from ansible_collections.quorum.kubeadm.plugins.module_utils.preflight_software import HOST_PACKAGES, LB_PACKAGES
from tests.consistency.repo import ROOT
from tests.unit.preflight_world import blank

ROLES = ("kube_host", "kube_lb", "kube_bundle")
DEBIAN = ("conntrack", "ethtool", "iproute2", "iptables", "kmod", "nftables", "socat")
RED_HAT = ("conntrack-tools", "container-selinux", "ethtool", "iproute", "iptables-nft", "kmod", "nftables", "socat")
SHOWN = {
    "kube_host": {"packages": "{{ __kube_host_os.kube_host_packages }}",
                  "module": "{{ __kube_host_os.kube_host_package_module }}"},
    "kube_lb": {"packages": "{{ __kube_lb_os.kube_lb_packages }}",
                "module": "{{ __kube_lb_os.kube_lb_package_module }}",
                "booleans": "{{ __kube_lb_os.kube_lb_selinux_booleans }}",
                "keepalived": "{{ lookup('ansible.builtin.template', role_path ~ '/templates/keepalived.conf.j2') }}"},
    "kube_bundle": {"manager": "{{ __kube_bundle_os.kube_bundle_package_manager }}",
                    "repository": "{{ __kube_bundle_repository }}"},
}  # fmt: skip


@dataclass(frozen=True)
class System:
    """What its os-release says, and what it is given."""

    release: str
    manager: str
    packages: tuple[str, ...]
    kind: str
    interval: str
    script: str = "/etc/keepalived/check-haproxy"
    booleans: tuple[str, ...] = ()


def debian(release: str, interval: str = "1") -> System:
    return System(release, "apt", DEBIAN, "deb", interval)


def red_hat(release: str) -> System:
    script = "/usr/libexec/keepalived/check-haproxy"
    return System(release, "dnf", RED_HAT, "rpm", "1", script, ("haproxy_connect_any",))


SYSTEMS = {
    "debian12": debian('ID=debian\nVERSION_ID="12"\n'),
    "debian13": debian('ID=debian\nVERSION_ID="13"\n', "0.3"),
    "ubuntu2204": debian('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\n'),
    "ubuntu2404": debian('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n'),
    "rocky9": red_hat('ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n'),
    "alma9": red_hat('ID="almalinux"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n'),
}


def facts(system: System) -> dict[str, str]:
    release = host_facts.parse_os_release(system.release)
    return {"id": release["ID"], "version": release["VERSION_ID"], "family": host_facts.os_family(release)}


def play(role: str) -> dict[str, Any]:
    """A play that shows what the role's tasks would be given, with the variables of site.yml."""
    defaults = [str(ROOT / "roles" / name / "defaults" / "main.yml") for name in ("kube", role)]
    return {
        "hosts": "all",
        "connection": "local",
        "gather_facts": False,
        "vars_files": [
            str(ROOT / "playbooks" / "group_vars" / "all.yml"),
            *defaults,
            str(ROOT / "roles" / role / "vars" / "main.yml"),
        ],
        "tasks": [
            {
                "ansible.builtin.debug": {"msg": f"@{{{{ inventory_hostname }}}} {role} {{{{ shown | to_json }}}}@"},
                "vars": {
                    "role_path": str(ROOT / "roles" / role),
                    "__node_info": {"os": "{{ system }}"},
                    f"{role}_os_family": "{{ system.family }}",
                    "kube_lb_keepalived_fractions": "{{ __keepalived_fractions }}",
                    "kube_lb_interface": "eth0",
                    "kube_lb_peers": [],
                    "kube_vip": "192.0.2.100",
                    "shown": SHOWN[role],
                },
            }
        ],
    }  # fmt: skip


@cache
def rendered(directory: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """(system, role) to what is shown."""
    hosts = {name: {"system": facts(system), "ansible_host": "192.0.2.11"} for name, system in SYSTEMS.items()}
    (directory / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    (directory / "play.yml").write_text(yaml.safe_dump([play(role) for role in ROLES]))
    env = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    playbook = Path(sys.executable).parent / "ansible-playbook"
    argv = [str(word) for word in (playbook, "-i", directory / "hosts.yml", directory / "play.yml")]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {}
    for text in re.findall(r'"msg": ("@.*@")', done.stdout):
        name, role, shown = json.loads(text).strip("@").split(" ", 2)
        found[name, role] = json.loads(shown)
    return found


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    return rendered(tmp_path_factory.mktemp("systems"))


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_system_gets_what_is_called_so_there(name: str, shown: dict[tuple[str, str], dict[str, Any]]) -> None:
    system = SYSTEMS[name]
    host, balancer, bundle = (shown[name, role] for role in ROLES)
    assert host == {"packages": list(system.packages), "module": system.manager}
    assert (balancer["packages"], balancer["module"]) == (["haproxy", "keepalived"], system.manager)
    assert balancer["booleans"] == list(system.booleans)
    assert f"script {system.script}\n" in balancer["keepalived"]
    assert f"interval {system.interval}\n" in balancer["keepalived"]
    assert bundle["manager"] == system.manager
    url = f"https://pkgs.k8s.io/core:/stable:/v1.36/{system.kind}/"
    assert bundle["repository"]["url"] == url
    params = {"url": url, "packages": ["kubeadm"], "version": "1.36.3", "ca_pem": ""}
    parsed = repository.parse_repository(params, "KEY", None)
    texts = [(entry.content or b"").decode() for entry in repository.MANAGERS[system.manager].files(parsed)]
    assert any(url in text for text in texts)


@pytest.mark.parametrize("name", SYSTEMS)
def test_preflight_knows_the_system_and_asks_for_the_same_packages(name: str) -> None:
    system = SYSTEMS[name]
    told = facts(system)
    world = blank()
    for node in world.nodes.values():
        node["os"] |= told
    assert not world.findings("os")
    world.nodes["w1"]["os"]["version"] = "7"
    assert world.only_finding("os").host == "w1"
    assert set(HOST_PACKAGES[told["family"]]) == set(system.packages)
    assert set(LB_PACKAGES) == {"haproxy", "keepalived"}
