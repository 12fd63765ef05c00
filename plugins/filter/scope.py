# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters: which hosts a run touches when machines join or go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils import scope


def join_scope(groups: Mapping[str, Sequence[str]], names: str) -> list[str]:
    """Hosts that a run of site needs so that these join; none when nobody is named."""
    wanted = scope.split_names(names)
    return scope.join_scope(groups, wanted) if wanted else []


def removal_scope(groups: Mapping[str, Sequence[str]], names: str, replacement: str = "") -> list[str]:
    """Hosts to look at before these go."""
    return scope.removal_scope(groups, scope.split_names(names), replacement.strip())


def staying_scope(groups: Mapping[str, Sequence[str]], names: str, joined: str = "") -> list[str]:
    """Hosts to report on when these have gone and the other one has joined."""
    return scope.staying_scope(groups, scope.split_names(names), joined.strip())


def unknown_names(groups: Mapping[str, Sequence[str]], names: str) -> list[str]:
    """Those that are in none of the inventory's groups."""
    return scope.unknown_names(groups, scope.split_names(names))


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Any]:
        """Names as Ansible looks them up."""
        return {
            "join_scope": join_scope,
            "removal_scope": removal_scope,
            "staying_scope": staying_scope,
            "unknown_names": unknown_names,
        }
