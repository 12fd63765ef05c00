# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubeconfig files: read with and without PyYAML, and never with less than verified credentials."""

from __future__ import annotations

import base64
import builtins
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import kubeconfig
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeconfig import KubeConfig, parse

PEM = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nvery-secret\n-----END PRIVATE KEY-----\n"
NAMES = st.from_regex(r"[a-z][a-z0-9@.-]{0,20}", fullmatch=True)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def tree(**changes: Any) -> dict[str, Any]:
    cluster = {
        "certificate-authority-data": b64(PEM),
        "server": "https://192.0.2.100:6443",
        **changes.get("cluster", {}),
    }
    user = changes.get("user", {"client-certificate-data": b64(PEM), "client-key-data": b64(KEY)})
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "clusters": [{"cluster": cluster, "name": "kubernetes"}],
        "contexts": [{"context": {"cluster": "kubernetes", "user": "admin"}, "name": "admin@kubernetes"}],
        "current-context": "admin@kubernetes",
        "users": [{"name": "admin", "user": user}],
        **changes.get("top", {}),
    }


def nothing(path: str) -> str:
    raise AssertionError(f"{path} was read")


@pytest.fixture
def no_pyyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "yaml":
            raise ImportError("blocked")
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "yaml")
    monkeypatch.setattr(builtins, "__import__", refuse)


def test_kubeadms_own_file_without_pyyaml(no_pyyaml: None) -> None:
    text = (
        f"apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {b64(PEM)}\n"
        "    server: https://192.0.2.100:6443\n  name: kubernetes\ncontexts:\n- context:\n    cluster: kubernetes\n"
        "    user: kubernetes-admin\n  name: kubernetes-admin@kubernetes\n"
        "current-context: kubernetes-admin@kubernetes\n"
        f"kind: Config\nusers:\n- name: kubernetes-admin\n  user:\n    client-certificate-data: {b64(PEM)}\n"
        f"    client-key-data: {b64(KEY)}\n"
    )
    assert parse(text, "admin.conf", nothing) == KubeConfig("admin.conf", "https://192.0.2.100:6443", PEM, PEM, KEY)


@given(
    names=st.tuples(NAMES, NAMES, NAMES),
    pem=st.text(alphabet=st.characters(max_codepoint=127)),
    port=st.integers(1, 65535),
)
def test_the_same_values_from_json_and_from_yaml(names: tuple[str, str, str], pem: str, port: int) -> None:
    cluster, user, context = names
    value = {
        "clusters": [
            {
                "name": cluster,
                "cluster": {"server": f"https://[fd00::1]:{port}", "certificate-authority-data": b64(pem)},
            }
        ],
        "users": [{"name": user, "user": {"token": "abc"}}],
        "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
        "current-context": context,
    }
    found = [parse(text, "x", nothing) for text in (json.dumps(value), yaml.safe_dump(value, default_flow_style=False))]
    assert found[0] == found[1] == KubeConfig("x", f"https://[fd00::1]:{port}", ca_pem=pem, token="abc")


def test_the_current_context_counts_not_the_first() -> None:
    value = tree()
    value["clusters"].insert(0, {"name": "kubernetes-2", "cluster": {"server": "https://192.0.2.2:6443"}})
    value["contexts"].insert(0, {"name": "admin", "context": {"cluster": "kubernetes-2", "user": "admin"}})
    assert parse(json.dumps(value), "x", nothing).server == "https://192.0.2.100:6443"


def test_files_are_read_relative_to_the_kubeconfig(tmp_path: Path) -> None:
    user = {"client-certificate": "pki/client.pem", "client-key": str(tmp_path / "key.pem"), "tokenFile": "token"}
    (tmp_path / "pki").mkdir()
    for name, text in {"pki/client.pem": PEM, "key.pem": KEY, "token": "abc\n"}.items():
        (tmp_path / name).write_text(text)
    path = tmp_path / "config"
    path.write_text(json.dumps(tree(user=user)))
    found = kubeconfig.load(str(path))
    assert (found.client_cert_pem, found.client_key_pem, found.token) == (PEM, KEY, "abc")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cluster": {"insecure-skip-tls-verify": True}}, "uses insecure-skip-tls-verify"),
        ({"cluster": {"proxy-url": "http://192.0.2.9"}}, "set kube_api_via|Set kube_api_via"),
        ({"user": {"exec": {"command": "aws"}}}, "uses exec"),
        ({"user": {"username": "root", "password": "very-secret"}}, "uses username"),
        ({"user": {"client-key-data": "very-secret!"}}, "not base64 of PEM"),
        ({"cluster": {"server": ""}}, "names no server"),
        ({"top": {"current-context": "other"}}, "no context 'other'.*contexts: admin@kubernetes"),
        ({"top": {"users": []}}, "no user 'admin'.*users: none"),
        ({"top": {"clusters": "x"}}, "no cluster 'kubernetes'"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        parse(json.dumps(tree(**changes)), "admin.conf", nothing)
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[1]", "just words", "{", "a: [very-secret", "%very-secret"])
def test_no_kubeconfig_at_all_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(InputError, match="kubeconfig") as caught:
        parse(text, "x", nothing)
    assert "very-secret" not in str(caught.value)


def test_unusual_yaml_without_pyyaml_says_what_to_do(no_pyyaml: None) -> None:
    with pytest.raises(InputError, match="install PyYAML where this runs"):
        parse("a: {b: c}", "x", nothing)


def test_a_kubeconfig_shows_no_secret() -> None:
    shown = repr(parse(json.dumps(tree(user={"client-key-data": b64(KEY), "token": "very-secret"})), "x", nothing))
    assert "very-secret" not in shown
