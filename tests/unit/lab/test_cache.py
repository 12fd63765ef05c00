# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is cached is whole, made once, and made again when its recipe changes."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from lab.cache import cached, content_key, point


def test_a_key_follows_contents_not_places(tmp_path: Path) -> None:
    for place in ("one", "two"):
        (tmp_path / place / "go").mkdir(parents=True)
        (tmp_path / place / "go" / "go.mod").write_text("module x")
    one, two = tmp_path / "one" / "go", tmp_path / "two" / "go"
    assert content_key("1.0", one) == content_key("1.0", two)
    (two / "go.mod").write_text("module y")
    assert content_key("1.0", one) != content_key("1.0", two)
    assert content_key("1.0", one) != content_key("1.1", one)


def test_a_thing_is_made_once(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(work: Path) -> None:
        made.append(work)
        (work / "file").write_text("x")

    first = cached(tmp_path, "kind", "name", "key", make)
    assert cached(tmp_path, "kind", "name", "key", make) == first
    assert len(made) == 1
    assert (first / "file").read_text() == "x"
    assert cached(tmp_path, "kind", "name", "other", make) != first


def test_an_interrupted_making_leaves_nothing_that_counts(tmp_path: Path) -> None:
    def interrupted(work: Path) -> None:
        (work / "half").write_text("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(tmp_path, "kind", "name", "key", interrupted)
    result = cached(tmp_path, "kind", "name", "key", lambda work: (work / "whole").touch())
    assert [path.name for path in result.iterdir()] == ["whole"]
    assert [path.name for path in (tmp_path / "kind").iterdir()] == ["name-key"]


def test_two_at_once_make_it_once(tmp_path: Path) -> None:
    made: list[int] = []

    def make(work: Path) -> None:
        made.append(1)
        time.sleep(0.2)
        (work / "file").touch()

    threads = [threading.Thread(target=cached, args=(tmp_path, "kind", "name", "key", make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_a_link_is_relative_and_can_be_moved_on(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    link = tmp_path / "current"
    point(link, tmp_path / "a")
    point(link, tmp_path / "b")
    assert os.readlink(link) == "b"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "current"]
