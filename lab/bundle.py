# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release as one directory: programs, CNI plugins, image archives, and a manifest with every checksum."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

from lab.cache import cached, content_key, file_sha256, point
from lab.components import components
from lab.images import Image, base_layer, write_archive
from lab.releases import Release
from lab.settings import LAB_DIR

FORMAT = 1
MANIFEST = "manifest.json"
NODES = ("control_plane", "worker")
CNI_DIR = "/opt/cni/bin"

# Component, its programs, and the roles whose hosts need them on the path.
PROGRAMS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("kubernetes", ("kubeadm",), (*NODES, "etcd")),
    ("kubernetes", ("kubelet", "kubectl"), NODES),
    ("containerd", ("containerd", "containerd-shim-runc-v2", "ctr"), NODES),
    ("runc", ("runc",), NODES),
    ("etcd", ("etcdctl", "etcdutl"), ("control_plane", "etcd")),
    ("etcd", ("etcd",), ("etcd",)),
)
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
REGISTRY = "registry.k8s.io"


def images(release: Release, built: dict[str, Path]) -> dict[str, list[Image]]:
    """Return the images of a release by archive, under the references that kubeadm and the manifests use."""
    kube = built["kubernetes"]
    where = "usr/local/bin"
    pause = [
        Image(f"{REGISTRY}/pause:{tag}", {"pause": built["pause"] / "pause"}, ("/pause",))
        for tag in dict.fromkeys((release.pause, release.sandbox))
    ]
    node = [
        *pause,
        Image(
            f"{REGISTRY}/kube-proxy:v{release.kubernetes}",
            {f"{where}/kube-proxy": kube / "kube-proxy"},
            on_debian=True,
        ),
        Image(
            f"ghcr.io/flannel-io/flannel:v{release.flannel}",
            {"opt/bin/flanneld": built["flannel"] / "flannel"},
            ("/opt/bin/flanneld",),
            on_debian=True,
        ),
        Image(
            f"{REGISTRY}/coredns/coredns:v{release.coredns}",
            {"coredns": built["coredns"] / "coredns"},
            ("/coredns",),
        ),
        Image(
            f"{REGISTRY}/e2e-test-images/agnhost:{release.agnhost}",
            {"agnhost": kube / "agnhost"},
            ("/agnhost",),
            ("pause",),
        ),
    ]
    control_plane = [
        Image(f"{REGISTRY}/{name}:v{release.kubernetes}", {f"{where}/{name}": kube / name}) for name in CONTROL_PLANE
    ]
    etcd = {f"{where}/{name}": built["etcd"] / name for name in ("etcd", "etcdctl", "etcdutl")}
    control_plane.append(Image(f"{REGISTRY}/etcd:{release.etcd}-0", etcd))
    return {"node": node, "control-plane": control_plane}


def make_bundle(cache: Path, release: Release) -> Path:
    """Build or reuse a release's bundle, and let `<cache>/bundles/<version>` point to it."""
    parts = components(release)
    built = {name: part.build(cache) for name, part in parts.items()}
    base = base_layer(cache)
    recipe = [LAB_DIR / name for name in ("bundle.py", "images.py")]
    key = content_key(asdict(release), {name: path.name for name, path in built.items()}, base.digest, *recipe)

    def make(work: Path) -> None:
        manifest = {
            "format": FORMAT,
            "kube_version": release.kubernetes,
            "arch": "amd64",
            "versions": {name: version for name, version in asdict(release).items() if name != "kubernetes"},
            "files": _programs(work, built) + _cni_plugins(work, built),
            "images": _archives(work, images(release, built), base_path=cache),
        }
        (work / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")

    bundle = cached(cache, "bundles", release.kubernetes, key, make)
    point(cache / "bundles" / release.kubernetes, bundle)
    return bundle


def _programs(work: Path, built: dict[str, Path]) -> list[dict[str, object]]:
    entries = []
    for component, names, roles in PROGRAMS:
        for name in names:
            path = _place(built[component] / name, work / "bin" / name)
            entries.append(_file_entry(work, path, f"/usr/bin/{name}", roles))
    return entries


def _cni_plugins(work: Path, built: dict[str, Path]) -> list[dict[str, object]]:
    sources = [path for part in ("cni-plugins", "cni-flannel") for path in sorted(built[part].iterdir())]
    return [
        _file_entry(work, _place(source, work / "cni" / source.name), f"{CNI_DIR}/{source.name}", NODES)
        for source in sources
    ]


def _archives(work: Path, groups: dict[str, list[Image]], base_path: Path) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = []
    (work / "images").mkdir()
    for name, members in groups.items():
        path = work / "images" / f"{name}.tar"
        refs = write_archive(members, base_layer(base_path), path)
        roles = NODES if name == "node" else ("control_plane",)
        entries.append({**_facts(work, path), "roles": list(roles), "refs": refs})
    return entries


def _place(source: Path, target: Path) -> Path:
    """Put a built program into the bundle; a hard link, so that two bundles share what they have in common."""
    target.parent.mkdir(exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    target.chmod(0o755)
    return target


def _facts(work: Path, path: Path) -> dict[str, object]:
    return {"path": str(path.relative_to(work)), "sha256": file_sha256(path), "size": path.stat().st_size}


def _file_entry(work: Path, path: Path, install: str, roles: tuple[str, ...]) -> dict[str, object]:
    return {**_facts(work, path), "mode": "0755", "install": install, "roles": list(roles)}
