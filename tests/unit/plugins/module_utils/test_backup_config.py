# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's configuration: what is refused, and that no password is ever printed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import backup_config as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError
from tests.consistency.repo import ROOT, load, options

GOOD: dict[str, Any] = {
    "cluster": "prod", "host": "cp1", "directory": "/var/backups/kubernetes", "endpoints": ["https://127.0.0.1:2379"],
    "ca": "/pki/ca.crt", "cert": "/pki/c.crt", "key": "/pki/c.key", "pki": ["/etc/kubernetes/pki"],
}  # fmt: skip
KEY = "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nc2VjcmV0\n-----END"
SSH = {"name": "vault", "type": "ssh", "host": "192.0.2.9", "user": "backup", "path": "sets", "key": KEY,
       "host_keys": ["ssh-ed25519 AAAA"]}  # fmt: skip
S3 = {
    "name": "store",
    "type": "s3",
    "bucket": "backups",
    "secret_key": "hush-hush",
    "endpoint": "https://s3.example.com",
}
DIRECTORY = {"name": "nas", "type": "directory", "path": "/mnt/nas"}


def parsed(**values: Any) -> subject.Config:
    return subject.parse_config(json.dumps({**GOOD, **values}))


def refused(**values: Any) -> str:
    with pytest.raises(InputError) as caught:
        parsed(**values)
    return str(caught.value)


def test_a_good_one() -> None:
    found = parsed(destinations=[SSH, S3, DIRECTORY], interval_hours=12, old_after_hours=25)
    assert [place.type for place in found.destinations] == ["ssh", "s3", "directory"]
    assert (found.interval, found.old_after, found.leader_wait) == (43200, 90000, 1200)
    assert (found.kind, found.owner) == ("etcd", "prod")
    assert found.snapshot_params()["minimum_free_bytes"] == 268435456
    pki = parsed(snapshot=False)
    assert (pki.kind, pki.owner) == ("pki", "prod-cp1")


def test_no_password_is_in_its_text() -> None:
    text = repr(parsed(destinations=[SSH, {**S3, "options": {"session_token": "hush-token"}}]))
    assert "hush" not in text
    assert "c2VjcmV0" not in text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"unknown": 1}, "unknown: unknown"),
        ({"keep": "28"}, "keep"),
        ({"keep": True}, "keep"),
        ({"keep": 0}, "keep"),
        ({"max_age_days": -1}, "max_age_days"),
        ({"verify": "maybe"}, "verify"),
        ({"verify": "none"}, "verify"),
        ({"cluster": "../x"}, "file name"),
        ({"host": "a\nb"}, "host"),
        ({"address": "-oProxyCommand=x"}, "address"),
        ({"directory": "relative"}, "path"),
        ({"metrics_dir": "/a/../b"}, "path"),
        ({"endpoints": []}, "endpoints"),
        ({"interval_hours": 14}, "old_after_hours"),
        ({"recipient": "age1xyz"}, "recipient"),
        ({"snapshot": False, "pki": []}, "snapshot or pki"),
        ({"destinations": [DIRECTORY, DIRECTORY]}, "a name twice"),
        ({"destinations": ["x"]}, "destination 1"),
        ({"destinations": [{"name": "x", "type": "ftp"}]}, "'ftp'"),
        ({"destinations": [{**DIRECTORY, "path": "/"}]}, "path"),
        ({"destinations": [{**DIRECTORY, "name": "-x"}]}, "name"),
        ({"destinations": [{**SSH, "host": "-oProxyCommand=id"}]}, "host"),
        ({"destinations": [{**SSH, "user": "a b"}]}, "user"),
        ({"destinations": [{**SSH, "path": 'x"\nrm *'}]}, "path"),
        ({"destinations": [{**SSH, "host_keys": []}]}, "host_keys"),
        ({"destinations": [{**SSH, "host_keys": ["ssh-ed25519 AAAA\n* ssh-rsa BB"]}]}, "host_keys"),
        ({"destinations": [{**SSH, "key": ""}]}, "key"),
        ({"destinations": [{**SSH, "port": 0}]}, "port"),
        ({"destinations": [{**S3, "bucket": "A/b"}]}, "bucket"),
        ({"destinations": [{**S3, "path": "../other"}]}, "path"),
        ({"destinations": [{**S3, "endpoint": "https://x\ntype = local"}]}, "endpoint"),
        ({"destinations": [{**S3, "secret_key": "hush\nhush"}]}, "secret_key"),
        ({"destinations": [{**S3, "options": {"a b": "x"}}]}, "a b"),
        ({"destinations": [{**S3, "options": {"acl": "x\ny"}}]}, "acl"),
    ],
)
def test_what_is_refused_is_named_without_its_value(values: dict[str, Any], words: str) -> None:
    text = refused(**values)
    assert words in text
    assert "hush" not in text


def test_what_is_no_configuration() -> None:
    cases = {"": "no such file", "{": "no JSON", "[]": "no mapping", "{}": "missing: cluster"}
    for text, words in cases.items():
        with pytest.raises(InputError) as caught:
            subject.parse_config(text)
        assert words in caught.value.found
        assert "etcd_backup" in caught.value.next_step


def test_the_roles_configuration_has_these_names_and_no_others() -> None:
    told = load(ROOT / "roles" / "etcd_backup" / "vars" / "main.yml")["__etcd_backup_config"]
    known = {item.name for item in subject.fields(subject.Config)}
    assert set(told) <= known
    assert known - set(told) == {"etcd", "etcdctl", "etcdutl", "ctr", "rclone", "wait_seconds", "state_dir"}
    inner = options("etcd_backup")["etcd_backup_destinations"]["options"]
    assert set(inner) == {item.name for item in subject.fields(subject.Destination)}
