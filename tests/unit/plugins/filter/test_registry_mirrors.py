"""containerd's certs.d from registry mirrors."""

from __future__ import annotations

import base64

import pytest
import tomllib
from ansible.errors import AnsibleFilterError

from ansible_collections.quorum.kubeadm.plugins.filter import registry_mirrors as subject


def test_each_registry_gets_a_directory_and_a_file() -> None:
    mirrors = {
        "registry.k8s.io": {"endpoints": [{"url": "https://m.example.com", "ca_file": "/etc/ssl/m.pem"}]},
        "_default": {"endpoints": [{"url": "http://192.0.2.5:5000", "skip_verify": True}]},
    }
    assert [item["path"] for item in subject.mirror_directories(mirrors)] == [
        "/etc/containerd/certs.d/_default",
        "/etc/containerd/certs.d/registry.k8s.io",
    ]
    default, kubernetes = [tomllib.loads(item["content"]) for item in subject.mirror_files(mirrors)]
    assert "server" not in default
    assert default["host"]["http://192.0.2.5:5000"]["skip_verify"] is True
    assert kubernetes["server"] == "https://registry.k8s.io"
    assert kubernetes["host"]["https://m.example.com"]["ca"] == "/etc/ssl/m.pem"


@pytest.mark.parametrize("name", ["../etc", "a/b", "-x", "a b", "x;rm -rf /", "", "{{ x }}"])
def test_a_name_that_could_leave_the_directory_is_refused(name: str) -> None:
    with pytest.raises(AnsibleFilterError, match="no registry's name"):
        subject.mirror_directories({name: {}})


def test_quotes_in_a_url_stay_inside_their_string() -> None:
    url = 'https://x"]\nskip_verify = true'
    [item] = subject.mirror_files({"docker.io": {"endpoints": [{"url": url}]}})
    assert list(tomllib.loads(item["content"])["host"]) == [url]


def test_a_login_is_a_header_in_a_secret_file() -> None:
    mirrors = {"ghcr.io": {"endpoints": [{"url": "https://m:5000/v2", "ca": "PEM"}, {"url": "https://other"}]}}
    logins = {"m:5000": {"username": "u", "password": 'p"\n'}, "elsewhere": {"username": "x", "password": "y"}}
    certificate, hosts = subject.mirror_files(mirrors, logins)
    assert certificate == {"path": "/etc/containerd/certs.d/ghcr.io/ca-0.pem", "content": "PEM"}
    assert set(hosts) == {"path", "secret_b64"}
    read = tomllib.loads(base64.b64decode(hosts["secret_b64"]).decode())["host"]
    assert read["https://m:5000/v2"]["ca"] == certificate["path"]
    assert read["https://m:5000/v2"]["header"]["Authorization"] == ["Basic " + base64.b64encode(b'u:p"\n').decode()]
    assert "header" not in read["https://other"]
