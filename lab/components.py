# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of a release: how each is built from its pinned Go modules."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lab import golang
from lab.cache import cached, content_key
from lab.releases import Release
from lab.settings import LAB_DIR

STRIP = "-s -w"
STATIC = "-extldflags -static"


@dataclass(frozen=True)
class Component:
    """Programs that one go.mod builds; `rename` maps the name that Go gives a program to its own."""

    name: str
    version: str
    tags: str = ""
    stamps: tuple[str, ...] = ()
    cgo: bool = False
    packages: str = "tool"
    rename: dict[str, str] = field(default_factory=dict)

    @property
    def module(self) -> Path:
        """Where go.mod and go.sum are."""
        return LAB_DIR / "go" / (f"{self.name}-{self.version}" if self.packages == "tool" else self.name)

    @property
    def flags(self) -> tuple[str, ...]:
        """What the linker is told, and the build tags."""
        linker = " ".join([STRIP, *([STATIC] if self.cgo else []), *(f"-X {stamp}" for stamp in self.stamps)])
        return (*(["-tags", self.tags] if self.tags else []), "-ldflags", linker)

    def build(self, cache: Path) -> Path:
        """Return the directory of the built programs."""
        key = content_key(golang.GO_VERSION, golang.BUILD_FLAGS, self.flags, self.cgo, self.rename, self.module)
        return cached(cache, "components", f"{self.name}-{self.version}", key, lambda work: self._make(cache, work))

    def _make(self, cache: Path, work: Path) -> None:
        golang.build(cache, self.module, work, packages=self.packages, flags=self.flags, cgo=self.cgo)
        for old, new in self.rename.items():
            (work / old).rename(work / new)


def kubernetes(version: str) -> Component:
    """All Kubernetes programs; client-go has a version of its own, which user agents show."""
    major, minor, _patch = version.split(".")
    values = {
        "gitVersion": f"v{version}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitCommit": "unknown",
        "gitTreeState": "archive",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    stamps = tuple(f"{package}.{key}={value}" for package in packages for key, value in values.items())
    return Component("kubernetes", version, tags="grpcnotrace", stamps=stamps)


def components(release: Release) -> dict[str, Component]:
    """Every component of a release, the longest build last."""
    parts = [
        Component("pause", release.pause, packages="."),
        Component("etcd", release.etcd, rename={"server": "etcd"}),
        Component(
            "containerd",
            release.containerd,
            tags="urfave_cli_no_docs",
            stamps=(f"github.com/containerd/containerd/v2/version.Version=v{release.containerd}",),
        ),
        Component("runc", release.runc, tags="seccomp urfave_cli_no_docs netgo osusergo", cgo=True),
        Component(
            "cni-plugins",
            release.cni_plugins,
            stamps=(_cni_stamp(release.cni_plugins),),
        ),
        Component("cni-flannel", release.flannel_cni, stamps=(_cni_stamp(release.flannel_cni),)),
        Component(
            "flannel",
            release.flannel,
            cgo=True,
            stamps=(f"github.com/flannel-io/flannel/pkg/version.Version=v{release.flannel}",),
        ),
        Component(
            "coredns",
            release.coredns,
            tags="grpcnotrace",
            stamps=("github.com/coredns/coredns/coremain.GitCommit=unknown",),
        ),
        kubernetes(release.kubernetes),
    ]
    return {part.name: part for part in parts}


def _cni_stamp(version: str) -> str:
    return f"github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion=v{version}"
