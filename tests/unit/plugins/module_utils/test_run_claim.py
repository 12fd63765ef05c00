# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claims on a host, while there is no API."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.run_claim import claim
from ansible_collections.quorum.kubeadm.plugins.module_utils.run_lock import CLAIM

ALICE = {"run": "alice@laptop:10:aaaa", "playbook": "site.yml", "place": "a", "cluster": "c"}
BOB = {"run": "bob@ci:20:bbbb", "playbook": "site.yml", "place": "b", "cluster": "c"}


@pytest.fixture(name="path")
def claim_path(tmp_path: Path) -> str:
    return str(tmp_path / "run" / "run.json")


def test_one_has_it_until_it_is_over(path: str) -> None:
    claim(ALICE, 1000.0, effects=True, path=path)
    claim(ALICE, 1100.0, effects=True, path=path)
    assert json.loads(Path(path).read_text()) == {**ALICE, "since": 1100.0, "until": 1100.0 + CLAIM}
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    before = Path(path).read_text()
    with pytest.raises(RefusedError, match=r"alice@laptop \(process 10\), playbook site.yml, since 1970") as caught:
        claim(BOB, 1200.0, effects=True, path=path)
    assert caught.value.where == path
    assert Path(path).read_text() == before
    claim(BOB, 1100.0 + CLAIM, effects=True, path=path)
    assert json.loads(Path(path).read_text())["run"] == BOB["run"]


def test_what_an_earlier_run_of_the_same_place_left_is_replaced(path: str) -> None:
    claim(ALICE, 1000.0, effects=True, path=path)
    claim({**ALICE, "run": "alice@laptop:11:cccc"}, 1001.0, effects=True, path=path)
    assert json.loads(Path(path).read_text())["run"] == "alice@laptop:11:cccc"


def test_check_mode_refuses_the_same_and_writes_nothing(path: str) -> None:
    claim(ALICE, 1000.0, effects=False, path=path)
    assert not Path(path).parent.exists()
    claim(ALICE, 1000.0, effects=True, path=path)
    with pytest.raises(RefusedError):
        claim(BOB, 1000.0, effects=False, path=path)


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_file_that_says_nothing_holds_nobody_off(path: str, text: str) -> None:
    Path(path).parent.mkdir()
    Path(path).write_text(text)
    claim(BOB, 1000.0, effects=True, path=path)
    assert json.loads(Path(path).read_text())["run"] == BOB["run"]
