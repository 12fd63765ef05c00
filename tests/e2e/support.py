# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab of the tests' own, playbook runs on it, and the search for secrets."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.cluster import Cluster
from lab.podman import exec_argv
from lab.settings import CHECKOUT, Settings
from lab.shell import output
from tests.lanes import KUBE_VERSION

PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"
MINUTES = 25
TOKEN = re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b")
KEY = re.compile(r"(?<!sha256:)(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
PRIVATE = re.compile("|".join(["PRIVATE KEY", *(
    base64.b64encode(f"-----BEGIN {kind}PRIVATE ".encode()).decode()[:28] for kind in ("", "EC ", "RSA ")
)]))  # fmt: skip
# What a container runtime hands to network plugins, and they to iptables: the same ids.
RUNTIME_IDS = re.compile(r"\b(?:CNI_CONTAINERID|CNI_ARGS)=\S*")
# Their arguments hold the ids of containers, which look like keys.
CONTAINERS = re.compile(r"containerd-shim|runc|crun|conmon|podman|netavark|aardvark|fuse-overlayfs|/opt/cni/bin")


@dataclass(frozen=True)
class Run:
    """One run of a playbook: how it ended, all that it printed, what it cost, what verify found."""

    status: int
    text: str
    budget: dict[str, Any]
    verify: dict[str, Any]

    def changed(self) -> dict[str, int]:
        """Hosts on which something changed."""
        return {host: int(row["changed"]) for host, row in self.budget["hosts"].items() if row["changed"]}

    def calls(self) -> dict[str, int]:
        """Remote calls by host."""
        return {host: int(row["remote_calls"]) for host, row in self.budget["hosts"].items() if row["remote_calls"]}

    def problem(self) -> str:
        """Why it failed, "" when it did not."""
        if not self.status:
            return ""
        failing = [line for line in self.text.splitlines() if line.startswith(("fatal:", "[ERROR]", "FAIL"))]
        return " ".join(failing[:2])[:300] or f"status {self.status}"

    def end(self) -> str:
        """The last words, for a test's message."""
        return self.text[-6000:]


class Site:
    """The lab, and its inventory as the tests change it."""

    def __init__(self, settings: Settings, names: Iterable[str], work: Path, version: str = KUBE_VERSION) -> None:
        self.cluster = Cluster(settings, list(names), "e2e")
        self.version = version
        self.settings = settings
        self.work = work
        # The control plane on which kubectl is called: one that lives.
        self.admin = "cp2"

    @property
    def inventory(self) -> Path:
        return self.cluster.work / "inventory"

    def edit(self, change: Callable[[dict[str, Any]], None]) -> Path:
        """The inventory with a change, in a directory of its own beside the lab's; the kubeconfig stays the same."""
        content = yaml.safe_load((self.inventory / "hosts.yml").read_text(encoding="utf-8"))
        content["all"]["vars"]["kube_kubeconfig"] = str(self.cluster.kubeconfig)
        change(content["all"]["children"])
        directory = Path(tempfile.mkdtemp(dir=self.work))
        (directory / "group_vars").symlink_to(CHECKOUT / "inventories" / "lab" / "group_vars")
        (directory / "hosts.yml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return directory

    def play(self, playbook: str, *arguments: str, inventory: Path | None = None) -> Run:
        """Run a playbook to its end."""
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            budget, verify = Path(folder, "budget.json"), Path(folder, "verify.json")
            env = {
                **os.environ,
                "ANSIBLE_CALLBACKS_ENABLED": "quorum.kubeadm.call_budget",
                "ANSIBLE_CALL_BUDGET_OUTPUT": str(budget),
                "ANSIBLE_SSH_CONTROL_PATH_DIR": folder,
                "ANSIBLE_NOCOLOR": "1",
            }
            argv = [
                str(PLAYBOOK),
                playbook,
                "-i",
                str(inventory or self.inventory),
                "-e",
                f"kube_version={self.version}",
            ]
            argv += arguments
            ended = subprocess.run(
                [*argv, "-e", f"verify_output_file={verify}"], cwd=CHECKOUT, env=env, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", timeout=60 * MINUTES, check=False,
            )  # fmt: skip
            return Run(ended.returncode, ended.stdout, _read(budget), _read(verify).get("verify", {}))

    def on(self, node: str, *argv: str) -> str:
        """What a program on a node prints."""
        return output(exec_argv(self.settings, node, list(argv)))

    def kubectl(self, *words: str) -> str:
        """kubectl on a control plane."""
        return self.kubectl_from(self.admin, *words)

    def kubectl_from(self, node: str, *words: str) -> str:
        """kubectl on this control plane, which asks through the VIP."""
        return self.on(node, "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", *words)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


class ProcessWatch:
    """Looks at the command line and environment of every process, again and again; those of the lab's machines too."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.looks = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> ProcessWatch:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            self.looks += 1
            for pid in filter(str.isdigit, os.listdir("/proc")):
                command = _words(Path("/proc", pid, "cmdline"))
                # One that is just being started tells its arguments, and who it is, at the next look.
                if command and not CONTAINERS.search(command.partition(" ")[0]):
                    text = f"{command} {RUNTIME_IDS.sub('', _words(Path('/proc', pid, 'environ')))}"
                    self.seen.update(f"{command[:60]}: {found}" for found in secrets_in(text))


def _words(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:  # the process has ended
        return ""


def secrets_in(text: str, known: Iterable[str] = ()) -> list[str]:
    """What looks like a bootstrap token, a certificate key or a private key; `known` are public digests."""
    public = set(known)
    found = [match for match in TOKEN.findall(text) if not match.startswith("abcdef.")]
    found += [match for match in KEY.findall(text) if match not in public]
    return found + PRIVATE.findall(text)
