# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an etcd on a restored snapshot serves, and when that is not what it should. etcd itself: tests/integration."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import snapshot_drill as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_api import EtcdApi
from ansible_collections.quorum.kubeadm.plugins.module_utils.snapshot_drill import Served

SERVED = Served(revision=40, at=40, keys=7, hash=0xAB, compacted=30)


@dataclass
class Gateway:
    """An etcd at a revision; what it has at each one is told as that revision."""

    revision: int = 40
    compacted: int = 30
    hash: int = 0xAB
    keys: int = 7

    def api(self) -> EtcdApi:
        return EtcdApi("https://192.0.2.11:2379", self)

    def __call__(self, url: str, body: bytes, _timeout: float) -> tuple[int, bytes]:
        asked = json.loads(body)
        at = int(asked.get("revision") or 0)
        if at and not self.compacted <= at <= self.revision:
            return 400, json.dumps({"message": "mvcc: required revision has been compacted"}).encode()
        if url.endswith("maintenance/hashkv"):
            return 200, json.dumps({"hash": self.hash, "compact_revision": str(self.compacted)}).encode()
        header = {"revision": str(self.revision)}
        return 200, json.dumps({"header": header, "count": str(self.keys)}).encode()


@pytest.mark.parametrize(
    ("gateway", "stored", "at"),
    [
        (Gateway(), 40, 40),
        (Gateway(revision=43), 40, 40),  # a lease has ended meanwhile
        (Gateway(revision=50, compacted=50), 40, 50),  # what was deleted was compacted away
        (Gateway(revision=1, compacted=-1, keys=0), 0, 1),  # never written to
    ],
)
def test_it_is_asked_at_the_snapshots_revision(gateway: Gateway, stored: int, at: int) -> None:
    served = subject.ask(gateway.api(), stored, 5)
    assert (served.at, served.revision, served.keys, served.hash) == (at, gateway.revision, gateway.keys, gateway.hash)
    subject.judge(served, stored, (gateway.compacted, gateway.hash), "x.db")
    assert subject.same(served, gateway.api(), 5)


@pytest.mark.parametrize(
    ("served", "own", "words"),
    [
        (replace(SERVED, revision=39), None, "at revision 39, and the snapshot holds revision 40"),
        (SERVED, (30, 0xAC), "have the hash ab, those of the snapshot have ac"),
    ],
)
def test_what_it_does_not_serve_is_refused(served: Served, own: tuple[int, int] | None, words: str) -> None:
    with pytest.raises(RefusedError) as caught:
        subject.judge(served, 40, own, "x.db")
    assert words in caught.value.found


def test_hashes_that_cannot_be_compared_say_nothing() -> None:
    for served, own in ((SERVED, (31, 1)), (replace(SERVED, revision=41), (30, 1)), (SERVED, None)):
        subject.judge(served, 40, own, "x.db")
    assert not subject.same(SERVED, Gateway(compacted=31).api(), 5)
    assert not subject.same(SERVED, Gateway(revision=99, compacted=50).api(), 5), "the member has forgotten it"


@pytest.mark.parametrize("member", [Gateway(keys=8), Gateway(hash=0xAC)])
def test_other_data_than_the_members_is_refused(member: Gateway) -> None:
    with pytest.raises(RefusedError) as caught:
        subject.same(SERVED, member.api(), 5)
    assert "7 keys with the hash ab at revision 40" in caught.value.found
