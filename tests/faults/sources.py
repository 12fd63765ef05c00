# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`site` from blank machines through each source of software, on each Debian; and sources that are broken."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import publishing
from lab.debian import SUITES
from lab.podman import inside
from lab.publishing import MIRROR, USER, Publisher
from lab.settings import CHECKOUT
from lab.shell import say
from tests.e2e.support import PLAYBOOK, Run, Site

MACHINES = ("lb1", "cp1", "cp2", "cp3", "w1")
KUBE_VERSION = "1.36.3"
DELIVERED = f"/srv/delivered/{KUBE_VERSION}"
SERVICES = "systemctl is-active containerd kubelet || true"
REGISTRIES = """unqualified-search-registries = []
[[registry]]
prefix = "registry.k8s.io"
location = "{address}"
insecure = true
[[registry]]
prefix = "ghcr.io"
location = "{address}"
insecure = true
"""


# What only a control plane runs.
CONTROL_PLANE_IMAGES = ("/kube-apiserver:", "/kube-controller-manager:", "/kube-scheduler:", "/etcd:")
LIST_IMAGES = "ctr -n k8s.io images ls -q"
IMPORTS = ("images | ", "pulls | ")


@dataclass(frozen=True)
class Outcome:
    """A run through one source: seconds of the first and of the second run, MiB that the hosts fetched.

    imports: the tasks that import or pull images, in seconds: added up over the hosts, on the clock, and the part of
    that in which nothing else was done anywhere.
    """

    suite: str
    source: str
    first: float = 0.0
    second: float = 0.0
    fetched: dict[str, float] = field(default_factory=dict)
    imports: dict[str, float] = field(default_factory=dict)
    problem: str = ""


class Sources:
    """The publishers, a company's mirror of them, and a bundle made from them."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.settings = site.settings

    def publish(self) -> Publisher:
        """The lab's machines go when it is made anew, this one too."""
        return publishing.up(self.settings, KUBE_VERSION)

    def variables(self, source: str, publisher: Publisher, bundle: Path | None) -> dict[str, Any]:
        """What an administrator would set."""
        if source == "bundle":
            keys = (self.site.work / "bundle.pub").read_text()
            return {
                "kube_source": "bundle", "kube_bundle_file": str(bundle), "kube_bundle_dir": DELIVERED,
                "kube_bundle_key": keys, "kube_bundle_share": True,
            }  # fmt: skip
        shared = {
            "kube_source": source,
            "kube_bundle_dir": DELIVERED,
            "kube_source_key_fingerprint": publisher.fingerprint,
        }
        if source == "public":
            return shared
        endpoints = {"endpoints": [{"url": f"https://{MIRROR}", "ca": publisher.company_ca}]}
        return {
            **shared,
            "kube_source_repository": f"https://{MIRROR}/apt/v{{series}}/{{kind}}",
            "kube_source_files": f"https://{MIRROR}/files",
            "kube_source_ca": publisher.company_ca,
            "kube_source_logins": {MIRROR: {"username": USER, "password": publisher.password}},
            "containerd_registry_mirrors": {"registry.k8s.io": endpoints, "ghcr.io": endpoints},
        }

    def make_bundle(self) -> Path:
        """With the playbook, from the publishers, signed."""
        publisher, work = self.publish(), self.site.work
        target, key = work / f"kubernetes-{KUBE_VERSION}-amd64.tar", work / "bundle.key"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True)
        subprocess.run(["openssl", "pkey", "-in", str(key), "-pubout", "-out", str(work / "bundle.pub")], check=True)
        # Where skopeo looks: this machine does not know the publishers by their names.
        registries = work / "home" / ".config" / "containers" / "registries.conf"
        registries.parent.mkdir(parents=True)
        registries.write_text(REGISTRIES.format(address=publisher.address))
        given = {
            "kube_version": KUBE_VERSION,
            "kube_bundle_arch": "amd64",
            "kube_bundle_dest": str(target),
            "kube_bundle_signing_key_file": str(key),
            "kube_source_files": f"http://{publisher.address}/files",
            "kube_source_checksums": {},
        }
        env = {**os.environ, "HOME": str(work / "home"), "XDG_CACHE_HOME": str(work)}
        argv = [str(PLAYBOOK), "playbooks/bundle.yml", "-e", json.dumps(given)]
        for words in (["--check"], []):
            done = subprocess.run(
                [*argv, *words], cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=900, check=False
            )
            say(done.stdout[-4000:])
            if done.returncode:
                raise RuntimeError(f"bundle.yml failed: {done.stdout[-2000:]}{done.stderr[-1000:]}")
        return target

    def blank(self, suite: str) -> Publisher:
        """New machines that know the publishers' names and reach nothing but the lab."""
        self.site.cluster.recreate(suite)
        publisher = self.publish()
        publishing.introduce(publisher, MACHINES)
        publishing.fence(self.settings, MACHINES)
        return publisher

    def play(self, variables: dict[str, Any]) -> tuple[Run, float]:
        """site.yml with these variables; secrets in a file, not on the command line."""
        path = self.site.work / "source.json"
        path.write_text(json.dumps(variables))
        path.chmod(0o600)
        began = time.monotonic()
        return self.site.play("site.yml", "-e", f"@{path}"), time.monotonic() - began

    def through(self, suite: str, source: str, bundle: Path | None) -> Outcome:
        """From blank machines, and again."""
        publisher = self.blank(suite)
        if source == "bundle":
            publishing.down(self.settings)
        variables = self.variables(source, publisher, bundle)
        run, first = self.play(variables)
        log(f"source-{suite}-{source}", run.text)
        if run.status or not run.verify.get("ok"):
            return Outcome(suite, source, first, problem=run.problem() or f"verify: {run.verify.get('counts')}")
        fetched = {name: self._mib(source, publisher, name) for name in MACHINES[1:]}
        again, second = self.play(variables)
        log(f"source-{suite}-{source}-again", again.text)
        escaped = {name: count for name, count in publishing.escapes(self.settings, MACHINES).items() if count}
        foreign = [ref for ref in inside(self.settings, "w1", LIST_IMAGES).split() if is_control_plane_image(ref)]
        problem = again.problem()
        if not problem and again.changed():
            problem = f"the second run changed {again.changed()}"
        if not problem and escaped:
            problem = f"packets tried to leave the lab: {escaped}"
        if not problem and foreign:
            problem = f"the worker has images of control planes: {foreign}"
        return Outcome(suite, source, first, second, fetched, imports(run.budget), problem)

    def _mib(self, source: str, publisher: Publisher, name: str) -> float:
        """What came to a host: by the servers' log, or of a bundle what lies there now."""
        if source == "bundle":
            return int(inside(self.settings, name, f"du -sb {DELIVERED}").split()[0]) / (1 << 20)
        return publisher.fetched()[self.settings.node(name).address] / (1 << 20)

    def broken(self) -> Iterator[tuple[str, str]]:
        """Each broken source, and what was wrong with how it was found, "" when nothing was."""
        publisher = self.blank(SUITES[0])
        mirror = self.variables("mirror", publisher, None)
        wrong = {"https://github.com/opencontainers/runc/releases/download/v1.5.2/runc.amd64": "0" * 64}
        cases: dict[str, tuple[dict[str, Any], str]] = {
            "a portal answers 200 with its page": ({"kube_source_files": f"https://{MIRROR}/portal"}, "with a page"),
            "a mirror is away": ({"kube_source_files": f"https://{MIRROR}:4430/files"}, "does not answer"),
            "a wrong checksum": ({"kube_source_checksums": wrong}, "expected sha256"),
            "an expired repository key": (
                {"kube_source_repository": f"https://{MIRROR}/expired/v{{series}}/{{kind}}",
                 "kube_source_key_fingerprint": ""},
                "expired on",
            ),
            "another repository key": ({"kube_source_key_fingerprint": "0" * 40}, "not the expected one"),
        }  # fmt: skip
        for name, (change, words) in cases.items():
            run, _seconds = self.play({**mirror, **change})
            log(f"broken-{name.replace(' ', '-')}", run.text)
            active = {node: inside(self.settings, node, SERVICES).split() for node in MACHINES[1:]}
            touched = [node for node, states in active.items() if "active" in states]
            if not run.status:
                yield name, "site did not fail"
            elif words not in run.text:
                yield name, f"not told: {words}"
            else:
                yield name, f"services were started on {touched}" if touched else ""


def is_control_plane_image(ref: str) -> bool:
    """By its name; digests name no image."""
    return any(name in ref for name in CONTROL_PLANE_IMAGES)


def imports(budget: dict[str, Any]) -> dict[str, float]:
    """Seconds of the tasks that bring images, from the report of the callback call_budget."""
    rows = [row for row in budget["tasks"] if row["name"].rpartition(" : ")[2].startswith(IMPORTS)]
    return {name: sum(row[key] for row in rows) for name, key in
            (("all hosts", "call_seconds"), ("clock", "wall"), ("alone", "alone"))}  # fmt: skip


def log(name: str, text: str) -> None:
    folder = Path(CHECKOUT, ".build", "logs")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.log").write_text(text, encoding="utf-8")
