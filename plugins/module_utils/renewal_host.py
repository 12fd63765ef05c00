# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host whose certificates are renewed: its files, its processes, its kubeadm, and what is kept until the end."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils import pki
from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_host import (
    CLIENTS,
    NoCertificateError,
    handshake,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_places import (
    CA,
    CONTROL_PLANE,
    KUBEADM,
    KUBECONFIG,
    KUBELET_PKI,
    ON_ETCD,
    WORKER,
    Place,
    key_of,
    places,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeadm_host import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeadm_run import (
    censor,
    mark,
    to_text,
    unfinished,
    unmark,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeconfig import load
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubelet_host import KubeletHost
from ansible_collections.quorum.kubeadm.plugins.module_utils.renewal import (
    ACTION,
    Authority,
    Certificate,
    HostFacts,
    Kubelet,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.renewal_run import KUBELET_CONF
from ansible_collections.quorum.kubeadm.plugins.module_utils.static_pod_host import PodHost, processes
from ansible_collections.quorum.kubeadm.plugins.module_utils.static_pods import COMPONENTS, Change, make_plan
from ansible_collections.quorum.kubeadm.plugins.module_utils.static_pods_hold import look

# Until what was made is proven to be served, what it replaced is here. Only root can enter.
KEPT = "/var/lib/quorum-kubeadm/certificates"
CURRENT = f"{KUBELET_PKI}/kubelet-client-current.pem"
KUBEADM_SECONDS = 60.0
ASK_SECONDS = 2.0
LONG_AGO = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Given:
    """What the host is, and what kubeadm is told. group: whoever is in it may read what etcd's service serves with."""

    roles: Collection[str]
    address: str
    documents: list[dict[str, Any]]
    kubeadm: str = "/usr/bin/kubeadm"
    api_port: int = 6443
    group: str = ""


class RenewalHost:
    """The real host."""

    def __init__(self, given: Given, timeout: float, lock: int | None = None) -> None:
        self._given, self._timeout = given, timeout
        self._host = Host(lock)
        self._folder = ""

    def facts(self) -> HostFacts:
        given = self._given
        table = places(given.roles, given.api_port)
        held = look(PodHost()) if CONTROL_PLANE in given.roles else None
        return HostFacts(
            certificates=tuple(
                found for one in table if one.renewed_by in (KUBEADM, ON_ETCD) and (found := self._certificate(one))
            ),
            authorities={one.name: made for one in table if one.kind == CA and (made := self._authority(one))},
            started=started(COMPONENTS),
            held=tuple(held.held) if held else (),
            marker=str((unfinished(self._host) or {}).get("action") or ""),
            kubelet=self._kubelet() if {CONTROL_PLANE, WORKER} & set(given.roles) else None,
            kept=tuple(self.kept()),
        )

    def _certificate(self, place: Place) -> Certificate | None:
        """None when it is not there; one that cannot be read has ended long ago."""
        key = key_of(place.path)
        if not os.path.exists(place.path):
            return None
        written = max(os.stat(path).st_mtime for path in (place.path, key) if os.path.exists(path))
        try:
            cert, secret = self._pair(place, key)
            der = pki.certificates(cert)[0]
            whole = self._host.belong_together(cert, secret)
            return Certificate(place, pki.validity(der)[1], written, pki.serial(der), whole)
        except (KubeadmError, OSError, IndexError, UnicodeDecodeError):
            return Certificate(place, LONG_AGO, written, "", whole=False)

    def _pair(self, place: Place, key: str) -> tuple[str, str]:
        if place.kind == KUBECONFIG:
            config = load(place.path)
            return config.client_cert_pem, config.client_key_pem
        return self._host.read(place.path), self._host.read(key)

    def _authority(self, place: Place) -> Authority | None:
        """Of a bundle that a rotation has left, the first: with that one kubeadm signs."""
        if not os.path.exists(place.path):
            return None
        try:
            der = pki.certificates(self._host.read(place.path))[0]
            return Authority(pki.validity(der)[1], os.path.exists(key_of(place.path)))
        except (KubeadmError, IndexError):
            return None

    def _kubelet(self) -> Kubelet:
        moved = any(os.path.exists(f"{folder}{KUBELET_CONF}") for folder in self.kept())
        if not os.path.exists(KUBELET_CONF):
            return Kubelet(moved=moved)
        embedded = "client-certificate-data:" in self._host.read(KUBELET_CONF)
        inside, own = (_ends(lambda: load(KUBELET_CONF).client_cert_pem) if embedded else None), self.rotated_until()
        ends = own if own and (own > self.now() or not inside) else inside
        return Kubelet(True, embedded, own is not None, ends, moved)

    def rotated_until(self) -> datetime | None:
        return _ends(lambda: self._host.read(CURRENT))

    def now(self) -> datetime:
        return datetime.now(tz=timezone.utc)

    def keep(self, paths: Iterable[str]) -> str:
        for path in paths:
            self._copy(path)
        return self._folder

    def _target(self, path: str) -> str:
        """Where a file is kept in this call's directory."""
        if not self._folder:
            self._folder = f"{KEPT}/{self.now():%Y%m%dT%H%M%S.%fZ}"
        target = f"{self._folder}{path}"
        os.makedirs(KEPT, mode=0o700, exist_ok=True)
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        return target

    def _copy(self, path: str) -> None:
        target = self._target(path)
        if os.path.exists(path) and not os.path.exists(target):
            self._host.write(target, self._host.read(path), 0o600)
            shutil.copystat(path, target)
            info = os.stat(path)
            os.chown(target, info.st_uid, info.st_gid)

    def put_back(self, paths: Iterable[str]) -> None:
        wanted = list(paths)
        folder = next((one for one in self.kept() if all(os.path.exists(f"{one}{path}") for path in wanted)), None)
        for path in wanted if folder else ():
            source = f"{folder}{path}"
            info = os.stat(source)
            self._host.write(path, self._host.read(source), 0o600)
            os.chown(path, info.st_uid, info.st_gid)
            # With its times: what runs was started after it was written.
            shutil.copystat(source, path)

    def move_away(self, pattern: str) -> None:
        for path in sorted(glob.glob(pattern)):
            os.rename(path, self._target(path))

    def kept(self) -> list[str]:
        return sorted(glob.glob(f"{KEPT}/*"))

    def forget(self) -> None:
        # Keys whose certificates are replaced: nobody needs them again, since the CA is there.
        if os.path.isdir(KEPT):
            shutil.rmtree(KEPT)

    def kubeadm(self, words: Sequence[str]) -> tuple[int, str]:
        code, printed = self._host.run([self._given.kubeadm, *words], to_text(self._given.documents), KUBEADM_SECONDS)
        return code, censor(printed)

    def grant(self, place: Place) -> None:
        group = self._given.group
        if place.key_mode != 0o640 or not group:
            return
        key, number = key_of(place.path), self._host.group_id(group)
        if number is None:
            raise InputError("there is no such group", where=key, found=group, next_step="run site.yml")
        self._host.grant(key, number, place.key_mode)

    def restart(self, names: Sequence[str]) -> None:
        pods = PodHost()
        have = pods.manifests()
        # What a run that was killed has taken away is started, too.
        want = {**pods.kept(), **have}
        mark(self._host, ACTION, time.time())
        Change(pods, self._timeout).run(make_plan(have, want, names))
        unmark(self._host)

    def settle(self) -> None:
        pods = PodHost()
        Change(pods, self._timeout).settle(pods.manifests())

    def restart_kubelet(self) -> None:
        KubeletHost().restart()

    def stop_kubelet(self) -> None:
        KubeletHost().stop()

    def served(self, port: int) -> str:
        return served(self._given.address, port)

    def mark_join(self) -> None:
        mark(self._host, "join", time.time())


def _ends(read: Any) -> datetime | None:
    try:
        return pki.validity(pki.certificates(read())[0])[1]
    except (KubeadmError, OSError, IndexError):
        return None


def served(address: str, port: int) -> str:
    """The serial number of the certificate that is served there; "" when none is. Nothing is trusted by that."""
    client = CLIENTS.get(port)
    try:
        pem = handshake(address, port, (client, key_of(client)) if client else None, ASK_SECONDS)
        return pki.serial(pki.certificates(pem)[0])
    except (OSError, NoCertificateError, KubeadmError, IndexError):
        return ""


def started(names: Collection[str]) -> Mapping[str, float]:
    """When the youngest process of each began, in seconds since 1970 by today's clock."""
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    tick = os.sysconf("SC_CLK_TCK")
    found: dict[str, float] = {}
    for name in names:
        for pid in processes(name):
            with contextlib.suppress(OSError, IndexError, ValueError):
                with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as handle:
                    began = int(handle.read().rpartition(")")[2].split()[19]) / tick
                found[name] = max(found.get(name, 0.0), boot + began)
    return found
