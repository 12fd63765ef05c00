# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup set: its names, its manifest, and what is wrong with its files."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import backup_set as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.backup_set import File, Manifest
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError

NOW = 1_780_000_000.0
STEM = subject.etcd_stem("prod", 42, NOW)
PLACE = f"/backups/{STEM}.json"
GOOD = Manifest(
    kind="etcd",
    cluster="prod",
    cluster_id="cdf818194e3a8c32",
    revision=42,
    total_keys=7,
    hash="1f",
    taken_at=subject.iso(NOW),
    taken_by="cp1",
    etcd_version="3.6.16",
    kube_version="1.36.3",
    files={f"{STEM}.db": File(20512, "a" * 64), f"{STEM}.pki.tar.gz": File(9000, "b" * 64)},
    size=20512,
    verified="drill",
)


def test_a_manifest_comes_back_as_it_was() -> None:
    again = subject.parse_manifest(GOOD.text(), PLACE)
    assert again == GOOD
    assert (again.snapshot, again.pki, again.encrypted) == (f"{STEM}.db", f"{STEM}.pki.tar.gz", False)
    assert again.age(NOW + 90) == 90
    assert again.age(NOW - 90) == 0


def test_a_set_without_a_snapshot() -> None:
    stem = subject.pki_stem("prod", "cp1", NOW)
    files = {f"{stem}.pki.tar.gz.cms": File(9000, "b" * 64)}
    pki = replace(GOOD, kind="pki", revision=0, total_keys=0, hash="", size=0, files=files)
    again = subject.parse_manifest(pki.text(), f"/backups/{stem}.json")
    assert (again, again.snapshot, again.encrypted) == (pki, "", True)
    assert list(subject.grouped(files, "prod-cp1")) == [stem]
    assert not subject.grouped(files, "prod")


def changed(**values: Any) -> str:
    return json.dumps({**json.loads(GOOD.text()), **values})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "nothing"),
        ("", "nothing"),
        (GOOD.text()[:-20], "no JSON"),
        ("[]", "no JSON object"),
        (changed(format=2), "format '2', not 1"),
        (changed(revision="42"), "revision"),
        (changed(revision=True), "revision"),
        (changed(total_keys=-1), "total_keys"),
        (changed(taken_by=None), "taken_by"),
        (changed(files={}), "files of 0 sets"),
        (changed(files={"../../etc/shadow": {"size": 1, "sha256": "a" * 64}}), "etc/shadow"),
        (changed(files={f"{STEM}.db": {"size": 0, "sha256": "a" * 64}}), f"{STEM}.db"),
        (changed(files={f"{STEM}.db": {"size": 1, "sha256": "A" * 64}}), f"{STEM}.db"),
        (changed(files={f"{STEM}.db": "x"}), f"{STEM}.db"),
        (changed(files={f"{STEM}.pki.tar.gz": {"size": 1, "sha256": "a" * 64}}), "of kind etcd with"),
        (changed(revision=43), "at revision 43"),
        (changed(cluster="prod2"), "prod2"),
        (changed(kind="other"), "other"),
        (changed(size=1), "two sizes"),
        (changed(cluster_id="xyz"), "hexadecimal"),
        (changed(taken_at="yesterday"), "no UTC time"),
    ],
)
def test_what_is_no_manifest_is_refused_with_what_was_found(text: str | None, words: str) -> None:
    with pytest.raises(InputError) as caught:
        subject.parse_manifest(text, PLACE)
    assert words in caught.value.found
    assert caught.value.where == PLACE
    assert caught.value.next_step


def test_a_manifest_under_another_name_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        subject.parse_manifest(GOOD.text(), f"/backups/{subject.etcd_stem('prod', 41, NOW)}.json")
    assert STEM in caught.value.found


@given(cut=st.integers(0, len(GOOD.text()) - 3))
def test_half_a_manifest_is_none(cut: int) -> None:
    with pytest.raises(InputError):
        subject.parse_manifest(GOOD.text()[:cut], PLACE)


def test_names() -> None:
    assert STEM == "etcd-prod-r42-20260528T202640Z"
    for name in (STEM, f"{STEM}.db", f"{STEM}.json", f"{STEM}.pki.tar.gz", f"{STEM}.pki.tar.gz.cms"):
        said = subject.parse_name(name)
        assert said is not None
        assert (said.stem, said.cluster, said.revision, said.taken) == (STEM, "prod", 42, NOW)
        assert said.manifest == f"{STEM}.json"
    wrong = ("", "notes.txt", f"{STEM}.db.part", f"x{STEM}.db", "etcd-prod-r42-20269928T202640Z.db", f"{STEM}.db\n")
    for name in wrong:
        assert subject.parse_name(name) is None, name


def test_sets_of_exactly_this_cluster_the_oldest_first() -> None:
    old = subject.etcd_stem("prod", 99, NOW - 1)
    names = [f"{STEM}.json", f"{STEM}.db", f"{old}.db", "etcd-prod-2-r5-20200101T000000Z.db", "notes.txt", STEM]
    assert subject.grouped(names, "prod") == {old: [f"{old}.db"], STEM: [f"{STEM}.db", f"{STEM}.json"]}
    assert [subject.finished(files) for files in subject.grouped(names, "prod").values()] == [False, True]


def test_a_name_that_cannot_be_part_of_a_file_name_is_refused() -> None:
    for cluster in ("a/b", "", "..", "x" * 64):
        with pytest.raises(InputError):
            subject.etcd_stem(cluster, 1, NOW)


def test_defects_name_the_file_and_both_values() -> None:
    assert not subject.defects(GOOD, GOOD.files)
    db, pki = sorted(GOOD.files)
    assert subject.defects(GOOD, {}) == [f"{db} is missing", f"{pki} is missing"]
    wrong = {db: File(20511, "a" * 64), pki: File(9000, "c" * 64)}
    assert subject.defects(GOOD, wrong) == [
        f"{db} has 20511 bytes, not 20512",
        f"{pki} has the SHA-256 {'c' * 64}, not {'b' * 64}",
    ]
