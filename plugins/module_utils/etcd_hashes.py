# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do all members of an etcd cluster hold the same keys and values? Asked by their hashes at one revision.

A hash says something only beside another one of the same revision and of members that were compacted to the same
revision. A learner does not serve it, and neither does an etcd whose gateway lacks it: that is unknown, not different.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from .errors import ApiError, UnreachableError
from .etcd_api import EtcdApi, revision

# Each member reads all of its keys for it, and writes wait meanwhile: so one member after another, and not in a hurry.
HASH_SECONDS = 30.0
TRIES = 3


@dataclass(frozen=True)
class Hashes:
    """Member IDs and their hashes at a revision."""

    revision: int = 0
    by_member: Mapping[str, int] = field(default_factory=dict)

    @property
    def groups(self) -> list[list[str]]:
        """IDs of members that hold the same, the largest group first."""
        groups: dict[int, list[str]] = {}
        for identity, value in self.by_member.items():
            groups.setdefault(value, []).append(identity)
        return sorted(groups.values(), key=lambda group: (-len(group), sorted(group)))

    @property
    def majority(self) -> bool:
        """Whether more than half of the members that were asked hold the same: then the others are the wrong ones."""
        return bool(self.by_member) and len(self.groups[0]) * 2 > len(self.by_member)

    @property
    def differing(self) -> frozenset[str]:
        """Members that do not hold what the majority holds; without a majority all, for nobody knows which is right."""
        if len(self.groups) < 2:
            return frozenset()
        return frozenset(identity for group in self.groups[int(self.majority) :] for identity in group)


def compare(revision: int, answers: Mapping[str, tuple[int, int]]) -> Hashes:
    """Hashes that may be compared, of member ID -> (compacted to, hash). Pure."""
    if not answers:
        return Hashes()
    compacted = Counter(at for at, _value in answers.values()).most_common(1)[0][0]
    return Hashes(revision, {identity: value for identity, (at, value) in answers.items() if at == compacted})


def take(apis: Mapping[str, EtcdApi]) -> Hashes:
    """The hashes of these members, by ID, at the newest revision that all of them have."""
    at = 0
    answers: dict[str, tuple[int, int]] = {}
    for _try in range(TRIES):
        at, answers, gone = _ask(apis)
        if not gone and len({compacted for compacted, _value in answers.values()}) <= 1:
            break
        # A compaction came between: once more, at a newer revision.
    return compare(at, answers)


def _ask(apis: Mapping[str, EtcdApi]) -> tuple[int, dict[str, tuple[int, int]], bool]:
    """The revision, the answers, and whether it was compacted away meanwhile."""
    revisions, answers, gone = {}, {}, False
    for identity, api in apis.items():
        with suppress(ApiError, UnreachableError):
            revisions[identity] = revision(api.status())
    at = min(revisions.values(), default=0)
    for identity in revisions:
        try:
            answers[identity] = apis[identity].hash_kv(at, HASH_SECONDS)
        except (ApiError, UnreachableError) as exc:
            gone = gone or "has been compacted" in exc.found
    return at, answers, gone
