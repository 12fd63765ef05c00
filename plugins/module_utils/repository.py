# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A package repository as files on a host, and the commands that use it and no other one. Pure.

Versions are held by the files: a preference for the one version on Debian's kin, an exclusion on Red Hat's. So what a
user upgrades on the host leaves Kubernetes where it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from .errors import InputError
from .host_entries import Entry

NAME = "quorum-kubernetes"
KEPT = "Kept by quorum.kubeadm."
CA_PATH = f"/etc/ssl/certs/{NAME}-source.pem"
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
VERSION = re.compile(r"\d+\.\d+\.\d+")
# What Kubernetes' packages bring along; held as well.
DEPENDENCIES = ("cri-tools", "kubernetes-cni")
APT_PREFERENCE = 1001


@dataclass(frozen=True)
class Repository:
    """url: of the repository itself. login: user and password, None without. ca_pem: to trust for it, "" for none."""

    url: str
    key: str
    version: str
    packages: tuple[str, ...]
    login: tuple[str, str] | None = None
    ca_pem: str = ""


def parse_repository(params: dict[str, Any], key: str, login: tuple[str, str] | None) -> Repository:
    """A task's arguments; what is written into files as root is looked at first."""
    url, packages, version = str(params["url"]), params["packages"], str(params["version"])
    if login and any(re.search(r"\s", part) or not part for part in login):
        raise InputError("a login cannot be used", found="a part is empty or has a blank", next_step="choose another")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[\s\[\]\"'#]", url):
        raise InputError("this is no repository's URL", found=repr(url[:200]), next_step="use https://host/path/")
    bad = [name for name in packages if not PACKAGE.fullmatch(name)]
    if bad:
        raise InputError("these are no packages' names", found=", ".join(bad)[:200], next_step="correct `packages`")
    if not VERSION.fullmatch(version):
        raise InputError("this is no version", found=repr(version[:80]), next_step="use 1.36.3, for example")
    return Repository(url, key, version, tuple(packages), login, params["ca_pem"])


def _text(path: str, lines: list[str], *, secret: bool = False) -> Entry:
    content = "\n".join([*lines, ""]).encode()
    return Entry(path, content, 0o600 if secret else 0o644, secret=secret)


def _ca(repository: Repository) -> list[Entry]:
    return [_text(CA_PATH, [repository.ca_pem.strip()])] if repository.ca_pem else []


class Manager(Protocol):
    """A package manager: where its files lie, and what it is told."""

    key_path: str
    directories: tuple[str, ...]

    def files(self, repository: Repository) -> list[Entry]: ...

    def refresh(self) -> list[str]: ...

    def install(self, repository: Repository, *, download_only: bool) -> list[str]: ...


class Apt:
    """Debian and Ubuntu."""

    key_path = f"/etc/apt/keyrings/{NAME}.asc"
    directories: tuple[str, ...] = ("/etc/apt/keyrings", "/etc/apt/preferences.d", "/etc/apt/auth.conf.d")
    source = f"/etc/apt/sources.list.d/{NAME}.sources"
    only = (
        "-o", f"Dir::Etc::sourcelist={source}",
        "-o", "Dir::Etc::sourceparts=-",
        "-o", "APT::Get::List-Cleanup=0",
    )  # fmt: skip

    def files(self, repository: Repository) -> list[Entry]:
        """The source with its key, the held version, and where there is one the login and the CA."""
        lines = [f"# {KEPT}", "Types: deb", f"URIs: {repository.url}", "Suites: /", f"Signed-By: {self.key_path}"]
        held = [f"Package: {' '.join(repository.packages)}", f"Pin: version {repository.version}-*"]
        entries = [
            _text(self.key_path, [repository.key.strip()]),
            _text(self.source, lines),
            _text(f"/etc/apt/preferences.d/{NAME}", [f"# {KEPT}", *held, f"Pin-Priority: {APT_PREFERENCE}"]),
        ]
        host = urlsplit(repository.url).netloc
        if repository.login:
            user, password = repository.login
            line = f"machine {host} login {user} password {password}"
            entries.append(_text(f"/etc/apt/auth.conf.d/{NAME}.conf", [line], secret=True))
        if repository.ca_pem:
            name = urlsplit(repository.url).hostname
            line = f'Acquire::https::{name}::CAInfo "{CA_PATH}";'
            entries.append(_text(f"/etc/apt/apt.conf.d/90{NAME}", [f"// {KEPT}", line]))
        return [*entries, *_ca(repository)]

    def refresh(self) -> list[str]:
        """Read this repository's index, and no other's: another one that is broken is not ours to judge."""
        return ["apt-get", "update", *self.only, "-o", "APT::Update::Error-Mode=any"]

    def install(self, repository: Repository, *, download_only: bool) -> list[str]:
        """Get the packages in this version; services are left to those who configure them."""
        wanted = [f"{name}={repository.version}-*" for name in repository.packages]
        flags = ["--download-only"] if download_only else ["-o", "Dpkg::Options::=--force-confold"]
        return ["apt-get", "install", "--yes", "--no-install-recommends", "--allow-downgrades", *flags, *wanted]


class Dnf:
    """Rocky and Alma."""

    key_path = f"/etc/pki/rpm-gpg/{NAME}.asc"
    directories: tuple[str, ...] = ("/etc/pki/rpm-gpg",)

    def files(self, repository: Repository) -> list[Entry]:
        """The repository with its key, and the packages that nobody else may change."""
        lines = [
            f"# {KEPT}",
            f"[{NAME}]",
            "name=Kubernetes",
            f"baseurl={repository.url}",
            "enabled=1",
            "gpgcheck=1",
            "repo_gpgcheck=1",
            f"gpgkey=file://{self.key_path}",
            f"exclude={' '.join((*repository.packages, *DEPENDENCIES))}",
        ]
        if repository.ca_pem:
            lines.append(f"sslcacert={CA_PATH}")
        if repository.login:
            lines += [f"username={repository.login[0]}", f"password={repository.login[1]}"]
        source = _text(f"/etc/yum.repos.d/{NAME}.repo", lines, secret=bool(repository.login))
        return [_text(self.key_path, [repository.key.strip()]), source, *_ca(repository)]

    def refresh(self) -> list[str]:
        """Read this repository's index, and no other's."""
        return ["dnf", "--assumeyes", "--disablerepo=*", f"--enablerepo={NAME}", "--refresh", "makecache"]

    def install(self, repository: Repository, *, download_only: bool) -> list[str]:
        """Get the packages in this version."""
        wanted = [f"{name}-{repository.version}" for name in repository.packages]
        flags = ["--downloadonly"] if download_only else []
        return ["dnf", "--assumeyes", f"--disableexcludes={NAME}", *flags, "install", *wanted]


MANAGERS: dict[str, Manager] = {"apt": Apt(), "dnf": Dnf()}


def installed_version(text: str | None) -> str:
    """1.36.3 of a package's version 1.36.3-1.1; "" when it is not installed."""
    return (text or "").split("-")[0]
