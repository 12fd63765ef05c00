# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run encryption_key on the host while this run holds its lock."""

from __future__ import annotations

from ansible_collections.quorum.kubeadm.plugins.plugin_utils.fenced_action import FencedModule


class ActionModule(FencedModule):
    """See the module's documentation."""
