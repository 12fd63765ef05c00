"""A bundle's manifest: what is accepted, and that nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle import Bundle, parse_bundle, require
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError

SHA = "a" * 64


def manifest() -> dict[str, Any]:
    def row(path: str, install: str, roles: list[str]) -> dict[str, Any]:
        return {"path": path, "sha256": SHA, "size": 1, "mode": "0755", "install": install, "roles": roles}

    both = ["control_plane", "worker"]
    return {
        "format": 1,
        "kube_version": "1.36.3",
        "arch": "amd64",
        "versions": {"etcd": "3.6.16", "containerd": "2.4.2"},
        "files": [
            row("bin/kubelet", "/usr/bin/kubelet", both),
            row("bin/containerd", "/usr/bin/containerd", both),
            row("bin/etcdctl", "/usr/bin/etcdctl", ["control_plane", "etcd"]),
            row("bin/etcd", "/usr/bin/etcd", ["etcd"]),
            row("cni/flannel", "/opt/cni/bin/flannel", both),
        ],
        "images": [
            {
                "path": "images/node.tar",
                "sha256": SHA,
                "size": 1,
                "roles": both,
                "refs": [{"ref": "registry.k8s.io/pause:3.10.2", "id": f"sha256:{SHA}"}],
            },
            {
                "path": "images/control-plane.tar",
                "sha256": SHA,
                "size": 1,
                "roles": ["control_plane"],
                "refs": [{"ref": "registry.k8s.io/etcd:3.6.16-0", "id": f"sha256:{SHA}"}],
            },
        ],
    }


def parsed(raw: dict[str, Any] | None = None) -> Bundle:
    return parse_bundle(json.dumps(raw or manifest()), "/srv/bundles/1.36.3")


def test_what_each_role_needs() -> None:
    bundle = parsed()
    names = {
        role: [file.path.split("/")[1] for file in bundle.files_for([role], None)]
        for role in ("control_plane", "worker", "etcd")
    }
    assert names == {
        "control_plane": ["kubelet", "containerd", "etcdctl", "flannel"],
        "worker": ["kubelet", "containerd", "flannel"],
        "etcd": ["etcdctl", "etcd"],
    }
    assert [archive.path for archive in bundle.images_for(["worker"])] == ["images/node.tar"]
    assert len(bundle.images_for(["control_plane", "worker"])) == 2
    assert bundle.images_for(["etcd"]) == []
    assert bundle.files[0].mode == 0o755


def test_only_the_named_files_and_never_a_name_that_is_not_there() -> None:
    bundle = parsed()
    assert [file.install for file in bundle.files_for(["worker"], ["kubelet"])] == ["/usr/bin/kubelet"]
    assert bundle.files_for(["worker"], []) == []
    with pytest.raises(InputError, match=r"no etcd for worker"):
        bundle.files_for(["worker"], ["kubelet", "etcd"])


def test_versions_of_programs() -> None:
    bundle = parsed()
    assert bundle.version_of("/usr/bin/kubelet") == "1.36.3"
    assert bundle.version_of("/usr/bin/containerd") == "2.4.2"
    assert bundle.version_of("/opt/cni/bin/bridge") is None


def test_another_release_or_architecture_is_refused() -> None:
    require(parsed(), "/srv", "1.36.3", "x86_64")
    with pytest.raises(InputError, match=r"another release.*1\.36\.3, wanted 1\.36\.30"):
        require(parsed(), "/srv", "1.36.30", "x86_64")
    with pytest.raises(InputError, match=r"another architecture.*amd64, the host is aarch64.*arm64"):
        require(parsed(), "/srv", "1.36.3", "aarch64")


def test_no_bundle() -> None:
    with pytest.raises(InputError, match="there is no bundle") as caught:
        parse_bundle(None, "/srv/x")
    assert caught.value.where == "/srv/x"


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [
        ("top", "format", 2),
        ("top", "format", None),
        ("top", "files", {}),
        ("top", "versions", []),
        ("file", "path", "../../etc/shadow"),
        ("file", "path", "/etc/shadow"),
        ("file", "path", "bin/../../x"),
        ("file", "path", ""),
        ("file", "install", "usr/bin/kubelet"),
        ("file", "install", "/usr/bin/../../etc/passwd"),
        ("file", "install", "/usr/bin/a b"),
        ("file", "install", "/usr/bin/-rf"),
        ("file", "install", "/usr/bin/{{ x }}"),
        ("file", "install", "/usr/bin/x\n"),
        ("file", "sha256", "A" * 64),
        ("file", "sha256", "a" * 63),
        ("file", "mode", "4755"),
        ("file", "mode", 755),
        ("file", "roles", []),
        ("file", "roles", ["load_balancer"]),
        ("image", "path", "-rf"),
        ("image", "refs", [{"ref": "--all", "id": "x"}]),
        ("image", "refs", [{"ref": "registry.k8s.io/pause:3.10.2"}]),
        ("image", "refs", [{"ref": "a; rm -rf /", "id": f"sha256:{SHA}"}]),
    ],
)
def test_a_damaged_manifest_is_refused(where: str, key: str, value: object) -> None:
    raw = manifest()
    {"top": raw, "file": raw["files"][0], "image": raw["images"][0]}[where][key] = value
    if (where, key, value) == ("top", "files", {}):
        raw["files"] = {"x": 1}
    with pytest.raises(InputError, match=r"manifest\.json is damaged"):
        parsed(raw)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_is_a_bundle_or_a_clear_refusal(value: Any) -> None:
    with pytest.raises(InputError):
        parse_bundle(json.dumps(value), "/srv")


@given(st.text())
def test_any_text_is_a_clear_refusal(text: str) -> None:
    with pytest.raises(InputError):
        parse_bundle(text, "/srv")
