# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API servers' encryption configuration: Secrets encrypted in etcd under a key of ours."""

from __future__ import annotations

import base64
import json
from typing import Callable

KEY_BYTES = 32


def new_configuration(random_bytes: Callable[[int], bytes]) -> str:
    """An EncryptionConfiguration as JSON (which is YAML): a new secretbox key first, identity for reading old data."""
    key = base64.b64encode(random_bytes(KEY_BYTES)).decode()
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [
            {
                "resources": ["secrets"],
                "providers": [{"secretbox": {"keys": [{"name": "key1", "secret": key}]}}, {"identity": {}}],
            }
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def is_usable(text: str) -> bool:
    """Whether a text is an EncryptionConfiguration that encrypts Secrets, as far as the standard library can tell."""
    return "EncryptionConfiguration" in text and "secrets" in text and "secret" in text.replace("secrets", "")
