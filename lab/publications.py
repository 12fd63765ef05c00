# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the publishers of a release have, made from its bundle: packages, archives, checksums and images."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.cache import cached, content_key, file_sha256, lock
from lab.debian import debootstrap
from lab.podman import RUN
from lab.settings import CHECKOUT, LAB_DIR, Settings
from lab.shell import output, run, step

# What is published is said in one place, the collection's own table.
sys.path.append(str(CHECKOUT / ".build" / "collections"))
from ansible_collections.quorum.kubeadm.plugins.module_utils import publishers

REPOSITORY = "localhost/quorum-lab-publisher"
SUITE = "trixie"
PACKAGES = (
    "apt-utils", "bash", "ca-certificates", "coreutils", "curl", "docker-registry", "gnupg", "gawk", "nginx-light",
    "openssl", "skopeo",
)  # fmt: skip
RECIPE = LAB_DIR / "publisher"
ARCH = "amd64"
REVISION = "1.1"
# A newer patch that nobody has asked for: whoever upgrades a host's packages must not get it.
NEWER = "99"
UNIT = """[Unit]
Description=kubelet: The Kubernetes Node Agent
[Service]
ExecStart=/usr/bin/kubelet
Restart=always
RestartSec=10
[Install]
WantedBy=multi-user.target
"""
DROP_IN = """[Service]
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_CONFIG_ARGS --not-an-option-of-ours
"""
KUBEADM_NEEDS = "kubelet (>= 1.19.0), kubectl (>= 1.19.0), kubernetes-cni (>= 1.1.1)"
KUBELET_NEEDS = "iptables, iproute2, kubernetes-cni, mount, util-linux"


def image(settings: Settings) -> str:
    """Build or reuse the publisher's image."""
    key = content_key(SUITE, PACKAGES, RECIPE)
    name = f"{REPOSITORY}:{key}"
    with lock(settings.cache / "locks" / f"podman-publisher-{key}.lock", "publisher's image"):
        if run(["podman", "image", "exists", name], check=False).returncode:
            root = cached(settings.cache, "nodeimage", "publisher", key, _root) / "root.tar"
            with step(f"importing {name}"):
                output(["podman", "import", root, name])
    return name


def _root(work: Path) -> None:
    place = "/usr/local/lib/publisher"
    hooks = (f'--customize-hook=mkdir -p "$1{place}"', f"--customize-hook=sync-in {RECIPE} {place}")
    debootstrap(SUITE, "minbase", PACKAGES, work / "root.tar", hooks)


def tree(settings: Settings, bundle: Path) -> Path:
    """Build or reuse everything that the publishers of this bundle's release have."""
    made_by = image(settings)
    key = content_key(bundle.resolve().name, made_by, Path(publishers.__file__), Path(__file__))
    return cached(settings.cache, "publications", bundle.name, key, lambda work: _make(work, bundle.resolve(), made_by))


def _make(work: Path, bundle: Path, made_by: str) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    version = str(manifest["kube_version"])
    programs = {row["install"]: bundle / row["path"] for row in manifest["files"]}
    _files(work / "www", version, programs)
    folder = work / "www" / "pkgs.k8s.io" / "core:" / "stable:" / f"v{'.'.join(version.split('.')[:2])}" / "deb"
    folder.mkdir(parents=True)
    for package in _packages(version, str(manifest["versions"]["cni_plugins"]), programs):
        package.build(folder)
    rows = [f"{archive['path']} {ref['ref']}" for archive in manifest["images"] for ref in archive["refs"]]
    (work / "images").write_text("\n".join(rows) + "\n")
    mounts = ["--volume", f"{bundle}:/bundle:ro", "--volume", f"{work}:/tree"]
    build = ["/usr/local/lib/publisher/build", "/bundle", "/tree"]
    run([*RUN, "--rm", "--network", "none", *mounts, made_by, *build])


def _files(www: Path, version: str, programs: Mapping[str, Path]) -> None:
    """Archives and programs below their publishers' host and path, with the checksums that those give."""
    for row in publishers.files_of(version, ARCH, (*publishers.NODES, "etcd")):
        path = www / row["urls"][0].split("://", 1)[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        if row["members"]:
            with gzip.open(path, "wb", compresslevel=1) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
                for member, install in row["members"].items():
                    archive.add(programs[install], f"./{member}" if row["component"] == "flannel_cni" else member)
        else:
            shutil.copyfile(programs[row["install"]], path)
        sums = www / row["sums_urls"][0].split("://", 1)[1]
        with sums.open("a") as stream:
            # dl.k8s.io tells the sum alone, everybody else a list.
            stream.write(file_sha256(path) + ("" if row["component"] == "kubernetes" else f"  {path.name}\n"))


@dataclass(frozen=True)
class Deb:
    """A package: path on the host -> a program, or a text."""

    name: str
    version: str
    depends: str
    files: Mapping[str, Path | str]

    def build(self, folder: Path) -> None:
        """Write it into the repository."""
        with tempfile.TemporaryDirectory(dir=folder) as work:
            root = Path(work)
            root.chmod(0o755)
            for place, content in self.files.items():
                target = root / place.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, Path):
                    shutil.copyfile(content, target)
                    target.chmod(0o755)
                else:
                    target.write_text(content)
            control = {
                "Package": self.name, "Version": f"{self.version}-{REVISION}", "Architecture": ARCH,
                "Maintainer": "lab <lab@localhost>", "Depends": self.depends, "Description": "built by the lab",
            }  # fmt: skip
            (root / "DEBIAN").mkdir()
            lines = [f"{key}: {value}\n" for key, value in control.items() if value]
            (root / "DEBIAN" / "control").write_text("".join(lines))
            name = f"{self.name}_{self.version}-{REVISION}_{ARCH}.deb"
            run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", root, folder / name])


def _packages(version: str, cni: str, programs: Mapping[str, Path]) -> list[Deb]:
    """Kubernetes' packages, laid out like the publisher's. Without cri-tools, of which the lab builds nothing."""
    plugins = {install: path for install, path in programs.items() if install.startswith("/opt/cni/bin/")}
    plugins.pop("/opt/cni/bin/flannel")
    unit = {"/usr/lib/systemd/system/kubelet.service": UNIT}
    drop_in = {"/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf": DROP_IN}
    packages = [Deb("kubernetes-cni", cni, "", plugins)]
    for number in (version, f"{version.rpartition('.')[0]}.{NEWER}"):
        packages += [
            Deb("kubelet", number, KUBELET_NEEDS, {"/usr/bin/kubelet": programs["/usr/bin/kubelet"], **unit}),
            Deb("kubectl", number, "", {"/usr/bin/kubectl": programs["/usr/bin/kubectl"]}),
            Deb("kubeadm", number, KUBEADM_NEEDS, {"/usr/bin/kubeadm": programs["/usr/bin/kubeadm"], **drop_in}),
        ]
    return packages
