# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of every module that asks etcd, and the connection that they describe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .etcd_api import EtcdApi, tls_transport

PKI = "/etc/kubernetes/pki/etcd/"
# Documented in plugins/doc_fragments/etcd_api.py.
OPTIONS: dict[str, Any] = {
    "endpoints": {"type": "list", "elements": "str", "default": ["https://127.0.0.1:2379"]},
    "ca": {"type": "path", "default": PKI + "ca.crt"},
    "cert": {"type": "path", "default": PKI + "healthcheck-client.crt"},
    "key": {"type": "path", "default": PKI + "healthcheck-client.key", "no_log": False},
    "timeout": {"type": "float", "default": 2.0},
}


def connector(params: Mapping[str, Any]) -> Callable[[str], EtcdApi]:
    """A module's parameters to url -> gateway at that url. Raises InputError when a certificate cannot be read."""
    transport = tls_transport(params["ca"], params["cert"], params["key"])
    return lambda url: EtcdApi(url, transport, params["timeout"])
