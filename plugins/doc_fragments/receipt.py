# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option `receipt` of the modules that configure a host."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by Ansible."""

    DOCUMENTATION = r"""
options:
  receipt:
    description:
      - Leave on the host, when the call has ended well, what it asked for, so that M(quorum.kubeadm.node_info) can
        prove it again in its own single call. An unchanged task is then answered without asking the host.
      - A call that carries a secret leaves none.
    type: dict
    suboptions:
      name:
        description: Name of the receipt; one for each such task of a host.
        type: str
        required: true
      known:
        description:
          - C(proven) is what M(quorum.kubeadm.node_info) has proven in this run, C(node.receipts) of its result.
          - C(inputs) is the digest of what this run's tasks are made from, from M(quorum.kubeadm.site_plan). It is kept
            with the receipt, so that a host whose receipts are all proven and have these inputs needs no task at all.
        type: dict
        default: {}
      digest:
        description: Set by the action plugin.
        type: str
      inputs:
        description: Set by the action plugin.
        type: str
"""
