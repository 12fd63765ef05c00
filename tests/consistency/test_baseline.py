# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""bench/baseline.sh is a fair yardstick only while it writes the same configuration as the roles."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from ansible_collections.quorum.kubeadm.plugins.module_utils import kubeadm_config as core
from ansible_collections.quorum.kubeadm.plugins.module_utils.versions import component

ROOT = Path(__file__).resolve().parents[2]
BASELINE = ROOT / "bench" / "baseline"
VERSION = "1.36.3"
VIP = "192.0.2.100"
PLACES = {
    "NAME": "cp1",
    "ADDRESS": "192.0.2.21",
    "ZONE": "zone-a",
    "VIP": VIP,
    "VRID": "100",
    "PEERS": "192.0.2.22",
    "KUBE_VERSION": VERSION,
    "ETCD_VERSION": component(VERSION, "etcd"),
    "PAUSE_VERSION": component(VERSION, "pause"),
    "FLANNEL_VERSION": component(VERSION, "flannel"),
    "TOKEN": "abcdef.0123456789abcdef",
    "CA_HASH": "sha256:" + "0" * 64,
    "CERTIFICATE_KEY": "1" * 64,
}


def load(path: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / path).read_text()) or {})


LAB = load("inventories/lab/group_vars/all.yml")
VALUES = {
    **{name: value for role in ("kube", "containerd", "kubelet", "kube_lb", "kube_cni", "kube_control_plane")
       for name, value in load(f"roles/{role}/defaults/main.yml").items()},
    **LAB,
    "kube_vip": VIP,
    "kube_node_ip": PLACES["ADDRESS"],
    "inventory_hostname": "cp1",
    "containerd_sandbox_image": f"registry.k8s.io/pause:{PLACES['PAUSE_VERSION']}",
    "kube_cni_flannel_image": f"ghcr.io/flannel-io/flannel:v{PLACES['FLANNEL_VERSION']}",
    "kube_lb_interface": "eth0",
    "__kube_lb_vrid": 100,
    # The lab's Debian 13.
    "__kube_lb_check_seconds": 0.3,
    "__kube_lb_os": load("roles/kube_lb/vars/Debian.yml"),
    "kube_lb_peers": [PLACES["PEERS"]],
    "kube_lb_backends": {},
}  # fmt: skip


def baseline(path: str) -> str:
    text = (BASELINE / path).read_text()
    for name, value in PLACES.items():
        text = text.replace(f"@{name}@", value)
    return text


def role_template(role: str, name: str, **values: object) -> str:
    private = f"roles/{role}/vars/main.yml"
    variables = load(private) if (ROOT / private).exists() else {}
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False)
    environment.filters["combine"] = lambda one, other: {**one, **other}
    environment.filters["bool"] = bool
    text = (ROOT / "roles" / role / "templates" / name).read_text()
    return environment.from_string(text).render({**variables, **VALUES, **values})


def meaning(text: str) -> list[str]:
    """Lines without comments, blank lines, indentation and YAML's first line."""
    lines = (re.sub(r"\s+", " ", line).strip() for line in text.removeprefix("---\n").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize(
    ("path", "role", "template"),
    [
        ("all/etc/modules-load.d/kubernetes.conf", "kube_host", "modules.conf.j2"),
        ("node/etc/containerd/config.toml", "containerd", "config.toml.j2"),
        ("node/etc/systemd/system/containerd.service", "containerd", "containerd.service.j2"),
        ("node/etc/systemd/system/kubelet.service", "kubelet", "kubelet.service.j2"),
        ("lb/etc/haproxy/haproxy.cfg", "kube_lb", "haproxy.cfg.j2"),
        ("lb/etc/keepalived/keepalived.conf", "kube_lb", "keepalived.conf.j2"),
        ("lb/etc/keepalived/check-haproxy", "kube_lb", "check-haproxy.j2"),
        ("control_plane/etc/kubernetes/audit/policy.yaml", "kube_control_plane", "audit-policy.yaml.j2"),
        ("flannel.yaml", "kube_cni", "flannel.yaml.j2"),
    ],
)
def test_same_files(path: str, role: str, template: str) -> None:
    assert meaning(baseline(path)) == meaning(role_template(role, template))


def keepalived(peers: list[str]) -> list[str]:
    return meaning(role_template("kube_lb", "keepalived.conf.j2", kube_lb_peers=peers))


def test_a_load_balancer_that_stands_alone_has_no_peers() -> None:
    alone = keepalived([])
    # keepalived refuses a block without a peer.
    assert not [line for line in alone if line.startswith("unicast")]
    assert alone.count("}") == sum(line.endswith("{") for line in alone)


def test_each_load_balancer_speaks_to_its_peers_alone() -> None:
    lines = keepalived(["192.0.2.12", "192.0.2.13"])
    begin = lines.index("unicast_peer {")
    assert lines[begin - 1] == f"unicast_src_ip {PLACES['ADDRESS']}"
    assert lines[begin + 1 : begin + 4] == ["192.0.2.12", "192.0.2.13", "}"]


@pytest.mark.parametrize(("fractions", "seconds"), [(True, "0.3"), (False, "1")])
def test_checks_are_whole_seconds_where_keepalived_knows_no_others(fractions: bool, seconds: str) -> None:
    expression = load("roles/kube_lb/vars/main.yml")["__kube_lb_check_seconds"]
    every = jinja2.Template(expression).render(kube_lb_advert_seconds=0.3, kube_lb_keepalived_fractions=fractions)
    text = meaning(role_template("kube_lb", "keepalived.conf.j2", __kube_lb_check_seconds=every))
    assert f"interval {seconds}" in text
    assert "advert_int 0.3" in text


def test_same_kernel_settings() -> None:
    wanted = load("roles/kube_host/vars/main.yml")["__kube_host_sysctls"]
    written = dict(line.split(" = ") for line in meaning(baseline("all/etc/sysctl.d/99-kubernetes.conf")))
    assert written == wanted


def node(name: str) -> core.NodeInputs:
    return core.NodeInputs(
        name="cp1",
        address=PLACES["ADDRESS"],
        labels={"topology.kubernetes.io/zone": "zone-a"},
        taints=[{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}] if name != "worker" else [],
        ignore_preflight_errors=LAB["kube_ignore_preflight_errors"],
    )


def documents(path: str) -> list[Any]:
    found = list(yaml.safe_load_all(baseline(path)))
    for document in found:
        # Secrets have no place in the documents that the roles make; they are put in at the last moment.
        for secret in ("certificateKey", "bootstrapTokens"):
            document.pop(secret, None)
            document.get("controlPlane", {}).pop(secret, None)
        discovery = document.get("discovery", {})
        discovery.pop("tlsBootstrapToken", None)
        discovery.get("bootstrapToken", {}).pop("token", None)
        if "apiServer" in document:
            document["apiServer"]["certSANs"].sort()
        if "nodeRegistration" in document:
            document["nodeRegistration"]["kubeletExtraArgs"].sort(key=lambda item: str(item["name"]))
    return found


def test_same_init_configuration() -> None:
    cluster = core.ClusterInputs(
        version=VERSION,
        vip=VIP,
        api_port=6443,
        pod_cidr=VALUES["kube_pod_cidr"],
        service_cidr=VALUES["kube_service_cidr"],
        cert_sans=[VIP, "localhost", "127.0.0.1"],
        etcd_image_tag=f"{PLACES['ETCD_VERSION']}-0",
        encryption_algorithm=VALUES["kube_control_plane_encryption_algorithm"],
        audit=VALUES["kube_control_plane_audit"],
        kubelet=LAB["kube_control_plane_kubelet_config"],
        kube_proxy=LAB["kube_control_plane_kube_proxy_config"],
    )
    assert documents("kubeadm/init.yaml") == core.init_documents(cluster, node("control_plane"))


@pytest.mark.parametrize(("path", "kind"), [("join-worker", "worker"), ("join-control-plane", "control_plane")])
def test_same_join_configuration(path: str, kind: str) -> None:
    wanted = core.join_documents(f"{VIP}:6443", PLACES["CA_HASH"], node(kind), control_plane=kind == "control_plane")
    assert documents(f"kubeadm/{path}.yaml") == wanted
