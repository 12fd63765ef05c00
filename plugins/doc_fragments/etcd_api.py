# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules reach etcd: stacked and external clusters keep their certificates in the same places."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of every module that asks etcd."""

    DOCUMENTATION = r"""
options:
  endpoints:
    description:
      - Client URLs of etcd's members, tried in this order. Any one that lives is enough.
    type: list
    elements: str
    default: ["https://127.0.0.1:2379"]
  ca:
    description: File with the CA of the etcd servers, on the host where the module runs.
    type: path
    default: /etc/kubernetes/pki/etcd/ca.crt
  cert:
    description: File with the client certificate.
    type: path
    default: /etc/kubernetes/pki/etcd/healthcheck-client.crt
  key:
    description: File with the client certificate's key. Only its path is ever shown.
    type: path
    default: /etc/kubernetes/pki/etcd/healthcheck-client.key
  timeout:
    description: Seconds that one request may take.
    type: float
    default: 2.0
"""
