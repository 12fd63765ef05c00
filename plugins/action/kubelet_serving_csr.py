# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run kubelet_serving_csr in this process where the controller itself asks the API, else on the host that does."""

from __future__ import annotations

from ansible_collections.quorum.kubeadm.plugins.modules import kubelet_serving_csr
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.api_action import ApiAction


class ActionModule(ApiAction):
    """See the module's documentation."""

    MODULE = kubelet_serving_csr
