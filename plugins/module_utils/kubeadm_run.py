# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubeadm on a node: what is there already, which commands are left, and how they are run.

A marker file tells an operation of ours that has not finished. It is written before
kubeadm starts and removed after it succeeded, so a killed run is seen by the next one.
"""

from __future__ import annotations

import copy
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from . import api_server
from .errors import CommandError, RefusedError
from .etcd_restoring import MEMBER, RECORD
from .host_kubernetes import is_kept

MARKER = "/etc/kubernetes/quorum-kubeadm.json"
ETC = "/etc/kubernetes"
MANIFESTS = ("kube-apiserver.yaml", "kube-controller-manager.yaml", "kube-scheduler.yaml")
# kubeadm leaves these readable by all; the CIS benchmark (4.1.9) wants 0600.
TIGHT_FILES = ("/var/lib/kubelet/config.yaml", "/var/lib/kubelet/instance-config.yaml")
ETCD_DATA, ETCD_DATA_CHECK = "/var/lib/etcd", "DirAvailable--var-lib-etcd"
# What our own unfinished run may have left; anything else is still an error of kubeadm's preflight.
RESUME_IGNORES = (
    "DirAvailable--etc-kubernetes-manifests",
    ETCD_DATA_CHECK,
    "FileAvailable--etc-kubernetes-bootstrap-kubelet.conf",
    "FileAvailable--etc-kubernetes-kubelet.conf",
    "FileAvailable--etc-kubernetes-manifests-etcd.yaml",
    "FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml",
    "FileAvailable--etc-kubernetes-manifests-kube-controller-manager.yaml",
    "FileAvailable--etc-kubernetes-manifests-kube-scheduler.yaml",
    "FileAvailable--etc-kubernetes-pki-ca.crt",
    "Port-10250",
    "Port-10257",
    "Port-10259",
    "Port-2379",
    "Port-2380",
)
# Actions that leave a marker while they run.
MARKED = ("init", "join")
INIT_TOKEN = {
    "description": "quorum.kubeadm",
    "ttl": "15m0s",
    "usages": ["signing", "authentication"],
    "groups": ["system:bootstrappers:kubeadm:default-node-token"],
}
# A longer log line says nothing more that helps.
LINE_LENGTH = 300
SECRET_TEXT = re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b|\b[0-9a-f]{64}\b")


class NodeIo(Protocol):
    """The node as this file needs it."""

    def exists(self, path: str) -> bool: ...

    def listed(self, path: str) -> list[str]: ...

    def read(self, path: str) -> str: ...

    def write(self, path: str, text: str, mode: int) -> None: ...

    def remove(self, path: str) -> None: ...

    def chmod(self, path: str, mode: int) -> bool: ...

    def run(self, argv: list[str], stdin_document: str, timeout: float) -> tuple[int, str]: ...

    def journal(self, unit: str, lines: int) -> str: ...

    def api_arguments(self) -> str: ...

    def api_ready(self, url: str) -> bool: ...


@dataclass(frozen=True)
class Secrets:
    """Never leaves the node's memory: not in arguments, results, logs or files of ours."""

    token: str = field(default="", repr=False)
    certificate_key: str = field(default="", repr=False)


@dataclass(frozen=True)
class Step:
    """One kubeadm command: the words after `kubeadm`, what it does in plain words, and what is removed just before."""

    words: tuple[str, ...]
    does: str
    removes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The commands left to run. `resume`: an earlier run of ours was interrupted here. `ignores`: what kubeadm's
    preflight need not say."""

    action: str
    steps: tuple[Step, ...]
    resume: bool = False
    ignores: tuple[str, ...] = ()


STEPS = {
    "ca": Step(("init", "phase", "certs", "ca"), "make the cluster's CA"),
    "init": Step(("init",), "start the first control plane"),
    "join": Step(("join",), "join the cluster"),
    "upload_certs": Step(
        ("init", "phase", "upload-certs", "--upload-certs"),
        "upload the CAs, encrypted, for control planes that join",
    ),
    "upload_config": Step(("init", "phase", "upload-config", "kubeadm"), "store the cluster's configuration"),
    "upload_all": Step(
        ("init", "phase", "upload-config", "all"), "store the configuration of the cluster and kubelets"
    ),
    "upgrade_apply": Step(("upgrade", "apply", "--yes"), "take the cluster's own objects to the version"),
    "upgrade_node": Step(("upgrade", "node"), "take the node's own files to the version"),
    "upgrade_addons": Step(("upgrade", "node", "phase", "addon", "all"), "take CoreDNS and kube-proxy to the version"),
    "api_server": Step(("init", "phase", "control-plane", "apiserver"), "tell the API server etcd's members"),
}


def censor(text: str) -> str:
    """The text without anything that looks like a bootstrap token or a certificate key."""
    return SECRET_TEXT.sub("(secret)", text)


def kind_of(documents: list[dict[str, Any]], kind: str) -> dict[str, Any] | None:
    """The first document of a kind."""
    return next((document for document in documents if document.get("kind") == kind), None)


def is_control_plane(documents: list[dict[str, Any]]) -> bool:
    """Whether the documents make a control plane (an init, or a join with a controlPlane part)."""
    join = kind_of(documents, "JoinConfiguration")
    return join is None or "controlPlane" in join


def unfinished(io: NodeIo) -> dict[str, Any] | None:
    """The marker of an operation of ours that has not finished, or None."""
    if not io.exists(MARKER):
        return None
    try:
        marker = json.loads(io.read(MARKER))
    except ValueError:
        return {"action": "unknown"}
    return marker if isinstance(marker, dict) else {"action": "unknown"}


def _done(io: NodeIo, action: str, control_plane: bool) -> bool:
    if action == "ca":
        return io.exists(f"{ETC}/pki/ca.crt")
    if action not in MARKED:
        return False
    wanted = [f"{ETC}/kubelet.conf"]
    if control_plane:
        wanted += [f"{ETC}/manifests/{name}" for name in MANIFESTS]
    return all(io.exists(path) for path in wanted)


def make_plan(io: NodeIo, action: str, documents: list[dict[str, Any]]) -> Plan:
    """What is left to do for an action; no steps when it is done."""
    marker = unfinished(io)
    if marker and action in MARKED and marker.get("action") not in (action, "unknown"):
        raise RefusedError(
            f"an unfinished {marker.get('action')} is on this host",
            where=MARKER,
            found=json.dumps(marker, sort_keys=True),
            next_step="finish it by running the same playbook again, or reset this host by name",
        )
    if action == "api_server" and api_server.is_told(io, documents):
        return Plan(action, ())
    if not marker and _done(io, action, is_control_plane(documents)):
        return Plan(action, ())
    ignores = _ignores(io, documents, resume=bool(marker)) if action in MARKED else ()
    return Plan(action, (STEPS[action],), resume=bool(marker), ignores=ignores)


def _ignores(io: NodeIo, documents: list[dict[str, Any]], *, resume: bool) -> tuple[str, ...]:
    if resume:
        return (*RESUME_IGNORES, f"Port-{_bind_port(documents)}")
    # kubeadm wants the directory empty. Beside what removed members have left, kept on purpose, etcd begins as well,
    # and on data that were restored for this very beginning.
    restored = io.exists(f"{ETCD_DATA}/{MEMBER}/{RECORD}")
    names = [name for name in io.listed(ETCD_DATA) if not (restored and name == MEMBER)]
    return (ETCD_DATA_CHECK,) if (names or restored) and all(map(is_kept, names)) else ()


def with_secrets(
    documents: list[dict[str, Any]], secrets: Secrets, ignores: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """A copy of the documents with the token and the key in their places."""
    out = copy.deepcopy(documents)
    for document in out:
        if document["kind"] == "InitConfiguration":
            _init_secrets(document, secrets)
        if document["kind"] == "JoinConfiguration":
            _join_secrets(document, secrets)
        if ignores and "nodeRegistration" in document:
            registration = document["nodeRegistration"]
            registration["ignorePreflightErrors"] = sorted({*registration.get("ignorePreflightErrors", []), *ignores})
    return out


def _bind_port(documents: list[dict[str, Any]]) -> int:
    """The API server's port on this node, which listens already when an unfinished run is resumed."""
    for document in documents:
        endpoint = (
            document.get("localAPIEndpoint") or (document.get("controlPlane") or {}).get("localAPIEndpoint") or {}
        )
        if "bindPort" in endpoint:
            return int(endpoint["bindPort"])
    return 6443


def _init_secrets(document: dict[str, Any], secrets: Secrets) -> None:
    if secrets.token:
        # Without one, kubeadm would make a token of its own that lives for a day.
        document["bootstrapTokens"] = [{**INIT_TOKEN, "token": secrets.token}]
    if secrets.certificate_key:
        document["certificateKey"] = secrets.certificate_key


def _join_secrets(document: dict[str, Any], secrets: Secrets) -> None:
    document["discovery"]["bootstrapToken"]["token"] = secrets.token
    document["discovery"]["tlsBootstrapToken"] = secrets.token
    if "controlPlane" in document:
        document["controlPlane"]["certificateKey"] = secrets.certificate_key


def to_text(documents: list[dict[str, Any]]) -> str:
    """Documents as kubeadm reads them: JSON is YAML, and needs no library on the node."""
    return "\n---\n".join(json.dumps(document, sort_keys=True) for document in documents) + "\n"


def mark(io: NodeIo, action: str, now: float) -> None:
    """Leave the marker of an operation that begins."""
    io.write(MARKER, json.dumps({"action": action, "started": int(now)}) + "\n", 0o600)


def unmark(io: NodeIo) -> None:
    """The operation has ended well."""
    io.remove(MARKER)


def apply_plan(io: NodeIo, plan: Plan, documents: list[dict[str, Any]], secrets: Secrets, timeout: float) -> list[str]:
    """Run the steps; the tail of kubeadm's output, censored. Raises CommandError with the last lines of the logs."""
    output: list[str] = []
    for step in plan.steps:
        if plan.action in MARKED:
            mark(io, plan.action, time.time())
        for path in step.removes:
            io.remove(path)
        text = to_text(with_secrets(documents, secrets, plan.ignores))
        code, printed = io.run(["kubeadm", *step.words], text, timeout)
        lines = censor(printed).strip().splitlines()
        if code != 0:
            raise CommandError(
                f"kubeadm could not {step.does} (exit {code})",
                where="kubeadm " + " ".join(step.words),
                found=_tail(lines) + _kubelet_log(io, plan.action),
                next_step="mend what kubeadm names and run the same playbook again: it goes on from here",
            )
        output += lines[-5:]
    for path in TIGHT_FILES:
        if plan.steps and io.exists(path):
            io.chmod(path, 0o600)
    if plan.steps and plan.action in MARKED:
        unmark(io)
    return output


def _tail(lines: list[str]) -> str:
    return "\n".join(line[:LINE_LENGTH] for line in lines[-20:])


def _kubelet_log(io: NodeIo, action: str) -> str:
    """What the kubelet said last, for the actions that wait for it."""
    if action not in MARKED:
        return ""
    return "\n--- kubelet\n" + _tail(censor(io.journal("kubelet", 20)).splitlines())
