"""A repository's files and commands, for apt and dnf, and inputs that must not get into them."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import repository as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError

PARAMS: dict[str, Any] = {
    "url": "https://pkgs.k8s.io/core:/stable:/v1.36/deb/",
    "packages": ["kubeadm", "kubelet"],
    "version": "1.36.3",
    "ca_pem": "",
}
KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\nkey\n"


def files(manager: str, login: tuple[str, str] | None = None, **given: Any) -> dict[str, tuple[str, int]]:
    repository = subject.parse_repository({**PARAMS, **given}, KEY, login)
    entries = subject.MANAGERS[manager].files(repository)
    return {entry.path: ((entry.content or b"").decode(), entry.mode) for entry in entries}


def test_apt() -> None:
    made = files("apt")
    source, mode = made["/etc/apt/sources.list.d/quorum-kubernetes.sources"]
    assert source.splitlines() == [
        "# Kept by quorum.kubeadm.",
        "Types: deb",
        "URIs: https://pkgs.k8s.io/core:/stable:/v1.36/deb/",
        "Suites: /",
        "Signed-By: /etc/apt/keyrings/quorum-kubernetes.asc",
    ]
    assert mode == 0o644
    assert made["/etc/apt/keyrings/quorum-kubernetes.asc"][0].strip() == KEY.strip()
    preference = made["/etc/apt/preferences.d/quorum-kubernetes"][0]
    assert "Package: kubeadm kubelet\nPin: version 1.36.3-*\nPin-Priority: 1001\n" in preference
    assert len(made) == 3


def test_apt_with_a_login_and_a_ca() -> None:
    made = files("apt", ("u", "secret"), ca_pem="PEM\n")
    assert made["/etc/apt/auth.conf.d/quorum-kubernetes.conf"] == (
        "machine pkgs.k8s.io login u password secret\n",
        0o600,
    )
    assert all("secret" not in text for path, (text, _mode) in made.items() if "auth.conf.d" not in path)
    line = 'Acquire::https::pkgs.k8s.io::CAInfo "/etc/ssl/certs/quorum-kubernetes-source.pem";'
    assert line in made["/etc/apt/apt.conf.d/90quorum-kubernetes"][0]
    assert made["/etc/ssl/certs/quorum-kubernetes-source.pem"][0] == "PEM\n"


def test_apt_reads_this_repository_alone_and_any_trouble_is_an_error() -> None:
    command = subject.MANAGERS["apt"].refresh()
    assert "Dir::Etc::sourcelist=/etc/apt/sources.list.d/quorum-kubernetes.sources" in command
    assert "Dir::Etc::sourceparts=-" in command
    assert "APT::Update::Error-Mode=any" in command


def test_dnf() -> None:
    made = files("dnf", url="https://pkgs.k8s.io/core:/stable:/v1.36/rpm/")
    text, mode = made["/etc/yum.repos.d/quorum-kubernetes.repo"]
    assert text.splitlines()[1:] == [
        "[quorum-kubernetes]",
        "name=Kubernetes",
        "baseurl=https://pkgs.k8s.io/core:/stable:/v1.36/rpm/",
        "enabled=1",
        "gpgcheck=1",
        "repo_gpgcheck=1",
        "gpgkey=file:///etc/pki/rpm-gpg/quorum-kubernetes.asc",
        "exclude=kubeadm kubelet cri-tools kubernetes-cni",
    ]
    assert mode == 0o644
    assert set(made) == {"/etc/yum.repos.d/quorum-kubernetes.repo", "/etc/pki/rpm-gpg/quorum-kubernetes.asc"}


def test_dnf_with_a_login_is_private() -> None:
    text, mode = files("dnf", ("u", "secret"), ca_pem="PEM")["/etc/yum.repos.d/quorum-kubernetes.repo"]
    assert "username=u\npassword=secret\n" in text
    assert "sslcacert=/etc/ssl/certs/quorum-kubernetes-source.pem" in text
    assert mode == 0o600


@pytest.mark.parametrize(
    ("manager", "download", "install"),
    [
        ("apt", "--download-only", "kubeadm=1.36.3-*"),
        ("dnf", "--downloadonly", "kubeadm-1.36.3"),
    ],
)
def test_downloads_and_installs_one_version(manager: str, download: str, install: str) -> None:
    repository = subject.parse_repository(PARAMS, KEY, None)
    first = subject.MANAGERS[manager].install(repository, download_only=True)
    second = subject.MANAGERS[manager].install(repository, download_only=False)
    assert download in first
    assert download not in second
    assert install in first
    assert install in second


@pytest.mark.parametrize(
    "change",
    [
        {"url": "ftp://h/"},
        {"url": "https://h/ [trusted=yes]"},
        {"url": "https://h/\ndeb evil"},
        {"packages": ["kubeadm; rm -rf /"]},
        {"packages": ["--allow-unauthenticated"]},
        {"version": "1.36"},
        {"version": "1.36.3 -o x"},
    ],
)
def test_inputs_that_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        subject.parse_repository({**PARAMS, **change}, KEY, None)


@pytest.mark.parametrize("login", [("u", "a b"), ("u", ""), ("a\nb", "p")])
def test_a_login_that_a_file_cannot_hold(login: tuple[str, str]) -> None:
    with pytest.raises(InputError):
        subject.parse_repository(PARAMS, KEY, login)


def test_versions_of_packages() -> None:
    assert subject.installed_version("1.36.3-1.1") == "1.36.3"
    assert subject.installed_version(None) == ""
