# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The etcd members that an API server uses: those it is told, those it runs with, and the wait between the two."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, Protocol

from .errors import CommandError

MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
PAUSE = 0.5
Documents = list[dict[str, Any]]


class ApiHost(Protocol):
    """A control plane as this file needs it."""

    def exists(self, path: str) -> bool: ...

    def read(self, path: str) -> str: ...

    def api_arguments(self) -> str: ...

    def api_ready(self, url: str) -> bool: ...


def etcd_servers(text: str) -> list[str]:
    """The etcd members that a manifest or a command line of an API server names."""
    found = re.search(r"--etcd-servers=([^\s\"'\0]+)", text)
    return found.group(1).split(",") if found else []


def wanted(documents: Documents) -> set[str]:
    """The endpoints of an external etcd in kubeadm's documents; empty for a stacked one."""
    for document in documents:
        if document.get("kind") == "ClusterConfiguration":
            return set(((document.get("etcd") or {}).get("external") or {}).get("endpoints") or ())
    return set()


def is_told(host: ApiHost, documents: Documents) -> bool:
    """Whether the static pod names exactly these members, in any order."""
    return host.exists(MANIFEST) and set(etcd_servers(host.read(MANIFEST))) == wanted(documents)


def own_url(documents: Documents) -> str:
    """Where this API server answers, by the documents."""
    for document in documents:
        endpoint = document.get("localAPIEndpoint")
        if endpoint:
            return f"https://{endpoint['advertiseAddress']}:{endpoint['bindPort']}"
    return "https://127.0.0.1:6443"


def wait_until_used(
    host: ApiHost,
    documents: Documents,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Until the API server runs with these members and is ready. The old one answers on until the kubelet acts."""
    deadline, url = clock() + timeout, own_url(documents)
    while True:
        running = set(etcd_servers(host.api_arguments()))
        if running == wanted(documents) and host.api_ready(url):
            return
        if clock() >= deadline:
            raise CommandError(
                f"the API server was not ready with the new etcd members after {timeout:.0f} s",
                where=url,
                found=f"it runs with {', '.join(sorted(running)) or 'none'}",
                next_step="look at it: journalctl -u kubelet, /var/log/pods; then run the same playbook again",
            )
        sleep(PAUSE)
