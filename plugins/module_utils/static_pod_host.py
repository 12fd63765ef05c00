# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The static pods of this host: their manifests, their processes, their health ports, their logs."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import socket
import tempfile
from typing import Any

from .errors import CommandError
from .host_probe import API_TIMEOUT, parse_status, probe_api
from .kubeadm_host import Host as KubeadmHost
from .kubeadm_run import censor, kind_of, to_text
from .static_pods import API, COMPONENTS, ETCD

MANIFESTS = "/etc/kubernetes/manifests"
# What worked before, while something else is tried. Not below /etc/kubernetes/manifests: the kubelet reads all of that.
KEPT = "/var/lib/quorum-kubeadm/manifests"
SCRATCH = "/run/quorum-kubeadm"
LOGS = "/var/log/pods/kube-system_{component}-*/{component}/*.log"
LINES = 20
# Port and path at which each component tells whether it is healthy, and the flags that move it elsewhere.
HEALTH = {
    API: ("6443", "/readyz"),
    "kube-controller-manager": ("10257", "/healthz"),
    "kube-scheduler": ("10259", "/livez"),
}


def flag(manifest: str, name: str) -> str:
    """The value of a flag in a manifest's command, "" without it."""
    found = re.search(rf"^\s*- ['\"]?--{re.escape(name)}=([^'\"\n]*)['\"]?\s*$", manifest, re.MULTILINE)
    return found.group(1).strip() if found else ""


def image(manifest: str) -> str:
    """The image of the manifest's container."""
    found = re.search(r"^\s*(?:- )?image: ['\"]?([^'\"\s]+)", manifest, re.MULTILINE)
    return found.group(1) if found else ""


def health_url(component: str, manifest: str) -> str:
    """Where the component answers on this host."""
    if component == ETCD:
        urls = flag(manifest, "listen-metrics-urls") or "http://127.0.0.1:2381"
        return urls.split(",")[0] + "/health"
    port, path = HEALTH[component]
    address = flag(manifest, "bind-address")
    if address in ("", "0.0.0.0", "::"):  # noqa: S104 - compared with, not bound to
        address = "127.0.0.1"
    host = f"[{address}]" if ":" in address else address
    return f"https://{host}:{flag(manifest, 'secure-port') or port}{path}"


def ask(url: str) -> str:
    """Empty when the URL answers 200; else why not."""
    if url.startswith("https://"):
        answer = probe_api(url)
        status, error = answer["status"], answer["error"]
    else:
        status, error = _ask_plain(url)
    if status == 200:
        return ""
    return f"{url} answers {status}" if status else f"{url} does not answer ({error})"


def _ask_plain(url: str) -> tuple[int | None, str]:
    host, rest = [*url.removeprefix("http://").split("/", 1), ""][:2]
    name, port = host.rsplit(":", 1) if ":" in host else (host, "80")
    try:
        with socket.create_connection((name.strip("[]"), int(port)), API_TIMEOUT) as stream:
            stream.sendall(f"GET /{rest} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode("ascii"))
            status = parse_status(stream.recv(512))
            return status, "" if status else "the answer is not HTTP"
    except (OSError, ValueError) as exc:
        return None, str(exc)


class PodHost:
    """The real host."""

    def manifests(self) -> dict[str, str]:
        return _read(MANIFESTS)

    def kept(self) -> dict[str, str]:
        return _read(KEPT)

    def keep(self, component: str) -> None:
        os.makedirs(KEPT, mode=0o700, exist_ok=True)
        source, target = _path(MANIFESTS, component), _path(KEPT, component)
        # What an interrupted run kept is what worked; the manifest in its place was only tried.
        if not os.path.exists(target):
            shutil.copy2(source, f"{target}.new")
            os.rename(f"{target}.new", target)
        os.unlink(source)

    def remove(self, component: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_path(MANIFESTS, component))

    def place(self, component: str, text: str) -> None:
        # Beside the directory, and renamed into it: the kubelet never reads half of a manifest.
        descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(MANIFESTS), prefix=f".{component}.")
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o600)
        os.rename(temporary, _path(MANIFESTS, component))

    def forget(self) -> None:
        # All at once: half of what was kept would be half of a way back.
        with contextlib.suppress(FileNotFoundError):
            os.rename(KEPT, tempfile.mkdtemp(dir=os.path.dirname(KEPT), prefix=f"{os.path.basename(KEPT)}."))
        for folder in glob.glob(f"{KEPT}.*"):
            shutil.rmtree(folder, ignore_errors=True)

    def runs(self, component: str) -> bool:
        return bool(processes(component))

    def answers(self, component: str, manifest: str) -> str:
        if not self.runs(component):
            return "it does not run"
        return ask(health_url(component, manifest))

    def why(self, component: str) -> str:
        logs = sorted(glob.glob(LOGS.format(component=component)), key=os.path.getmtime)
        lines: list[str] = []
        if logs:
            with open(logs[-1], encoding="utf-8", errors="replace") as stream:
                lines = [f"{component}: {line.rstrip()[:300]}" for line in stream.readlines()[-LINES:]]
        kubelet = KubeadmHost().journal("kubelet", LINES).splitlines()
        return censor("\n".join([*lines, *(f"kubelet: {line[:300]}" for line in kubelet)]))

    def wanted(self, kubeadm: str, documents: list[dict[str, Any]], timeout: float) -> dict[str, str]:
        """What kubeadm writes from these documents, component to manifest. Its dry run writes nowhere else."""
        os.makedirs(SCRATCH, mode=0o700, exist_ok=True)
        folder = tempfile.mkdtemp(dir=SCRATCH, prefix="manifests.")
        try:
            phases = [("control-plane", "all")]
            cluster = kind_of(documents, "ClusterConfiguration") or {}
            if "external" not in (cluster.get("etcd") or {}):
                phases.append(("etcd", "local"))
            for phase in phases:
                argv = [kubeadm, "init", "phase", *phase, "--dry-run"]
                code, printed = KubeadmHost(env={"KUBEADM_INIT_DRYRUN_DIR": folder}).run(
                    argv, to_text(documents), timeout
                )
                if code:
                    raise CommandError(
                        f"kubeadm does not tell the manifests (exit {code})",
                        where=" ".join(argv),
                        found=censor(printed)[-2000:],
                        next_step="mend what kubeadm names: its configuration comes from the inventory's variables",
                    )
            return _read(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def processes(component: str) -> list[int]:
    """The processes of a component, by the name of their program."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", encoding="utf-8", errors="replace") as handle:
                program = handle.read().split("\0", maxsplit=1)[0]
        except OSError:
            continue
        if os.path.basename(program) == component:
            found.append(int(name))
    return found


def _path(folder: str, component: str) -> str:
    return f"{folder}/{component}.yaml"


def _read(folder: str) -> dict[str, str]:
    texts = {}
    for component in COMPONENTS:
        with contextlib.suppress(FileNotFoundError), open(_path(folder, component), encoding="utf-8") as stream:
            texts[component] = stream.read()
    return texts
