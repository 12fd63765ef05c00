# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle's manifest (format 1): parsed into types once, with every path and checksum looked at before it is used."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError

FORMAT = 1
ROLES = ("control_plane", "worker", "etcd")
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
SHA256 = re.compile(r"[0-9a-f]{64}")
MODE = re.compile(r"0?[0-7]{3}")
RELATIVE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*")
INSTALL = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)+")
REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{2,500}")
# Programs whose version is the release's; others have their own entry in `versions`.
KUBERNETES = ("kubeadm", "kubelet", "kubectl")


@dataclass(frozen=True)
class BundleFile:
    """A program and where it belongs."""

    path: str
    sha256: str
    mode: int
    install: str
    roles: frozenset[str]
    size: int = 0


@dataclass(frozen=True)
class Archive:
    """An archive of images: reference -> digest of the image's configuration."""

    path: str
    sha256: str
    roles: frozenset[str]
    refs: dict[str, str]
    size: int = 0


@dataclass(frozen=True)
class Bundle:
    """One release for one architecture."""

    layout: int
    kube_version: str
    arch: str
    versions: dict[str, str]
    files: tuple[BundleFile, ...]
    images: tuple[Archive, ...]

    def files_for(self, roles: list[str], only: list[str] | None) -> list[BundleFile]:
        """The programs that a host with these roles needs, or those of them that are named."""
        needed = [f for f in self.files if f.roles & set(roles)]
        if only is None:
            return needed
        unknown = sorted(set(only) - {_basename(f.install) for f in needed})
        if unknown:
            found = f"no {', '.join(unknown)} for {', '.join(roles)}"
            raise InputError("the bundle has no such file", found=found, next_step="correct `only`")
        return [f for f in needed if _basename(f.install) in only]

    def images_for(self, roles: list[str]) -> list[Archive]:
        return [archive for archive in self.images if archive.roles & set(roles)]

    def parts(self) -> list[BundleFile | Archive]:
        """Everything that the manifest names."""
        return [*self.files, *self.images]

    def version_of(self, install: str) -> str | None:
        """The version of an installed program."""
        name = _basename(install)
        return self.kube_version if name in KUBERNETES else self.versions.get(name)


def parse_bundle(text: str | None, where: str) -> Bundle:
    """manifest.json as types. Anything unexpected is refused: it decides what is written where, as root."""
    if text is None:
        next_step = "copy the bundle to the host, or correct `kube_bundle_dir`"
        raise InputError("there is no bundle", where=where, found="manifest.json cannot be read", next_step=next_step)
    try:
        raw = json.loads(text)
        return Bundle(
            layout=_layout(raw["format"]),
            kube_version=str(raw["kube_version"]),
            arch=str(raw["arch"]),
            versions={str(name): str(version) for name, version in raw["versions"].items()},
            files=tuple(_file(row) for row in raw["files"]),
            images=tuple(_archive(row) for row in raw["images"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        found = f"{type(exc).__name__}: {exc}"[:300]
        raise InputError(
            "the bundle's manifest.json is damaged", where=where, found=found, next_step="make it again"
        ) from exc


def require(bundle: Bundle, where: str, kube_version: str, machine: str) -> None:
    """The bundle is of the wanted release and for this machine."""
    if bundle.kube_version != kube_version:
        raise InputError(
            "the bundle is of another release",
            where=where,
            found=f"{bundle.kube_version}, wanted {kube_version}",
            next_step="correct `kube_bundle_dir` or `kube_version`",
        )
    if bundle.arch != MACHINES.get(machine, machine):
        raise InputError(
            "the bundle is for another architecture",
            where=where,
            found=f"{bundle.arch}, the host is {machine}",
            next_step=f"use a bundle for {MACHINES.get(machine, machine)}",
        )


def _layout(value: Any) -> int:
    if value != FORMAT:
        raise ValueError(f"format {value!r}, known is {FORMAT}")
    return FORMAT


def _basename(path: str) -> str:
    return path.rpartition("/")[2]


def _match(pattern: re.Pattern[str], value: Any) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{str(value)[:80]!r} is not acceptable")
    return value


def _roles(row: dict[str, Any]) -> frozenset[str]:
    roles = frozenset(row["roles"])
    if not roles or not roles <= set(ROLES):
        raise ValueError(f"roles {sorted(map(str, roles))}")
    return roles


def _file(row: dict[str, Any]) -> BundleFile:
    mode = int(_match(MODE, row["mode"]), 8)
    install = _match(INSTALL, row["install"])
    path, sha256 = _match(RELATIVE, row["path"]), _match(SHA256, row["sha256"])
    return BundleFile(path, sha256, mode, install, _roles(row), int(row.get("size", 0)))


def _archive(row: dict[str, Any]) -> Archive:
    refs = {_match(REF, ref["ref"]): _match(REF, ref["id"]) for ref in row["refs"]}
    path, sha256 = _match(RELATIVE, row["path"]), _match(SHA256, row["sha256"])
    return Archive(path, sha256, _roles(row), refs, int(row.get("size", 0)))
