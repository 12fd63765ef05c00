# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts a run has to touch when machines join or go. Pure: the inventory's groups in, names out.

A worker concerns itself and one control plane, however many workers there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

PLANES, WORKERS, BALANCERS, ETCD = "kube_control_plane", "kube_node", "kube_lb", "etcd"
Groups = Mapping[str, Sequence[str]]


def split_names(text: str) -> list[str]:
    """Names as they are given on the command line, each once."""
    return list(dict.fromkeys(name.strip() for name in str(text).split(",") if name.strip()))


def _members(groups: Groups, group: str) -> list[str]:
    return list(groups.get(group) or [])


def unknown_names(groups: Groups, names: Iterable[str]) -> list[str]:
    """Those that are in none of the groups. Exact names: node1 is not node10."""
    known = {name for group in (PLANES, WORKERS, BALANCERS, ETCD) for name in _members(groups, group)}
    return [name for name in names if name not in known]


def join_scope(groups: Groups, names: Sequence[str], without: Iterable[str] = ()) -> list[str]:
    """Hosts that a run of site needs so that these join. without: hosts that are on their way out.

    A control plane concerns the load balancers, and etcd's machines, of which one has its CA; a machine of etcd the
    other ones and every control plane, whose API servers are told.
    """
    gone = set(without)
    planes = [name for name in _members(groups, PLANES) if name not in gone]
    balancers = [name for name in _members(groups, BALANCERS) if name not in gone]
    etcd = [name for name in _members(groups, ETCD) if name not in {*gone, *_members(groups, PLANES)}]
    new = set(names)
    scope = list(names)
    if new & set(etcd):
        scope += [*etcd, *planes]
    if new & set(planes):
        scope += [*balancers, *etcd]
    if new & set(balancers):
        scope += balancers
    # One that others join through. It may be dead: a look from the new machine then finds another.
    scope += [name for name in planes if name not in new][:1]
    return list(dict.fromkeys(scope))


def removal_scope(groups: Groups, names: Sequence[str], replacement: str = "") -> list[str]:
    """Hosts to look at before these go: themselves, and everything that the cluster stands on."""
    every = [*_members(groups, BALANCERS), *_members(groups, PLANES), *_members(groups, ETCD)]
    known = {*every, *_members(groups, WORKERS)}
    named = [name for name in (*names, replacement) if name in known]
    return list(dict.fromkeys([*every, *named]))


def staying_scope(groups: Groups, names: Sequence[str], joined: str = "") -> list[str]:
    """Hosts to report on when these have gone: what the cluster stands on, and the one that joined."""
    return [name for name in removal_scope(groups, [], joined) if name not in names]
