# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgrade must know of a node: how its programs are started, its certificates, the room on its disks.

Never a secret: of files with keys only the certificates are passed on, and command lines only of kubeadm's own
components, without the value of a flag that is a secret by its name.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils import block_yaml
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_facts import read_disk
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_kubernetes import (
    manifest_image,
    parse_version,
    public_pem,
    yaml_scalar,
)

ETC = "/etc/kubernetes"
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
ENVIRONMENTS = ("/var/lib/kubelet/kubeadm-flags.env", "/etc/default/kubelet", "/etc/sysconfig/kubelet")
KUBELET_CONFIG = "/var/lib/kubelet/config.yaml"
CLIENT_CERTIFICATE = "/var/lib/kubelet/pki/kubelet-client-current.pem"
KUBECONFIGS = ("admin.conf", "super-admin.conf", "controller-manager.conf", "scheduler.conf")
PKI = (f"{ETC}/pki", f"{ETC}/pki/etcd")
DISKS = ("/var/lib/containerd", "/var/lib/kubelet", "/var/lib/etcd")
# The kubelet's unit starts it with these; the same file may hold a proxy's password.
ARGUMENTS = re.compile(r"^\s*(?:export\s+)?KUBELET_[A-Z_]*ARGS=(.*)$", re.MULTILINE)
# HTTP headers for static pods by URL: they may authenticate.
SECRET_FIELDS = ("staticPodURLHeader",)
# cAdvisor's flags, which the kubelet still has.
SECRET_FLAG = re.compile(r"--?[a-z-]*(?:password|secret|token)")
DELETED = " (deleted)"


def parse_document(text: str | None) -> dict[str, Any] | None:
    """A mapping in YAML as Kubernetes' own programs write it, or in JSON; None for everything else."""
    if text is None:
        return None
    try:
        value = json.loads(text) if text.lstrip().startswith("{") else block_yaml.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def first_container(pod: dict[str, Any] | None) -> dict[str, Any]:
    """The first container of a pod; empty when there is none."""
    spec = (pod or {}).get("spec")
    containers = spec.get("containers") if isinstance(spec, dict) else None
    first = containers[0] if isinstance(containers, list) and containers else None
    return first if isinstance(first, dict) else {}


def words(container: dict[str, Any]) -> list[str] | None:
    """The command line of a container; None when it has none that can be read."""
    parts = [container.get("command") or [], container.get("args") or []]
    if not container or not all(isinstance(part, list) for part in parts):
        return None
    return without_secrets([str(word) for part in parts for word in part])


def without_secrets(flags: list[str]) -> list[str]:
    """The words of a command line, without the value of a flag that by its name is a secret."""
    kept: list[str] = []
    hidden = False
    for word in flags:
        is_flag = word.startswith("-")
        if is_flag or not hidden:
            hidden = bool(SECRET_FLAG.fullmatch(word.partition("=")[0]))
            kept.append(word.partition("=")[0] if hidden else word)
    return kept


def parse_environment(text: str) -> list[str]:
    """The kubelet's flags in an environment file of systemd's. The last value of a variable counts, as for systemd."""
    values = {}
    for found in ARGUMENTS.finditer(text):
        values[found.group(0).partition("=")[0].split()[-1]] = found.group(1).strip()
    flags: list[str] = []
    for value in values.values():
        try:
            flags += " ".join(shlex.split(value)).split()
        except ValueError:
            flags += value.split()
    return without_secrets(flags)


def read_static_pods(host: Host) -> dict[str, dict[str, Any]]:
    """kubeadm's static pods: image and command line, the latter None when the manifest cannot be read."""
    pods = {}
    for name in COMPONENTS:
        text = host.read_text(f"{ETC}/manifests/{name}.yaml")
        if text is not None:
            container = first_container(parse_document(text))
            image = container.get("image") if isinstance(container.get("image"), str) else manifest_image(text)
            pods[name] = {"image": image or "", "args": words(container)}
    return pods


def read_config(host: Host) -> dict[str, Any] | None:
    """The KubeletConfiguration, without what may hold a secret: of such a field only its name is told."""
    config = parse_document(host.read_text(KUBELET_CONFIG))
    if config is not None:
        config.update({field: None for field in SECRET_FIELDS if field in config})
    return config


def running_version(host: Host, pid: int, version: str | None) -> str:
    """The version of the running kubelet; "" when its program was replaced since, or cannot be told."""
    try:
        program = os.readlink(host.real(f"/proc/{pid}/exe"))
    except OSError:
        return ""
    if program.endswith(DELETED):
        return ""
    if program == "/usr/bin/kubelet" and version:
        return version
    return parse_version(host.run([program, "--version"], timeout=20).out) or ""


def read_kubelet(host: Host, pid: int, version: str | None) -> dict[str, Any]:
    """How the kubelet is started: `pid` is its process, 0 without one; `version` the one of /usr/bin/kubelet."""
    texts = {path: host.read_text(path) for path in ENVIRONMENTS}
    line = (host.read_text(f"/proc/{pid}/cmdline") or "") if pid else ""
    return {
        "environment": {path: parse_environment(text) for path, text in texts.items() if text is not None},
        "config": read_config(host),
        "config_present": host.exists(KUBELET_CONFIG),
        "args": without_secrets([word for word in line.split("\0") if word][1:]),
        "running_version": running_version(host, pid, version) if pid else "",
    }


def embedded_certificate(text: str) -> str | None:
    """The client certificate inside a kubeconfig."""
    try:
        return public_pem(base64.b64decode(yaml_scalar(text, "client-certificate-data") or "").decode("ascii"))
    except ValueError:
        return None


def read_certificates(host: Host) -> dict[str, str]:
    """Path to PEM: certificates only, never a key."""
    found = {f"{ETC}/{name}": embedded_certificate(host.read_text(f"{ETC}/{name}") or "") for name in KUBECONFIGS}
    for folder in PKI:
        paths = [f"{folder}/{name}" for name in host.names(folder) if name.endswith(".crt")]
        found.update({path: public_pem(host.read_text(path)) for path in paths})
    found[CLIENT_CERTIFICATE] = public_pem(host.read_text(CLIENT_CERTIFICATE))
    return {path: pem for path, pem in found.items() if pem}


def read_disks(host: Host) -> dict[str, dict[str, Any]]:
    """The file systems that an upgrade fills."""
    return {path: read_disk(host, path) for path in DISKS}


def read_upgrade(host: Host, kubelet_pid: int, kubelet_version: str | None) -> dict[str, Any]:
    """node_info's `upgrade`."""
    return {
        "static_pods": read_static_pods(host),
        "kubelet": read_kubelet(host, kubelet_pid, kubelet_version),
        "certificates": read_certificates(host),
        "disks": read_disks(host),
    }
