# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run release_images on the host, unless its receipt is proven."""

from __future__ import annotations

from ansible_collections.quorum.kubeadm.plugins.plugin_utils.receipts import ReceiptAction


class ActionModule(ReceiptAction):
    """See the module's documentation."""

    MODULE = "release_images"
    UNCHANGED = ("steps", "pulled")
