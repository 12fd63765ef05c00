"""The encryption configuration."""

from __future__ import annotations

import base64
import json
import os

from ansible_collections.quorum.kubeadm.plugins.module_utils import encryption as subject


def test_a_new_configuration_encrypts_secrets_with_a_32_byte_key_first() -> None:
    document = json.loads(subject.new_configuration(os.urandom))
    [rule] = document["resources"]
    assert rule["resources"] == ["secrets"]
    assert list(rule["providers"][0]) == ["secretbox"]
    assert len(base64.b64decode(rule["providers"][0]["secretbox"]["keys"][0]["secret"])) == 32
    assert rule["providers"][-1] == {"identity": {}}


def test_two_keys_differ() -> None:
    assert subject.new_configuration(os.urandom) != subject.new_configuration(os.urandom)


def test_usable_means_it_encrypts_secrets() -> None:
    assert subject.is_usable(subject.new_configuration(os.urandom))
    assert not subject.is_usable("")
    assert not subject.is_usable("kind: EncryptionConfiguration\nresources: [configmaps]\n")
