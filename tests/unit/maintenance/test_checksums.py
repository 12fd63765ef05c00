"""The table of checksums, filled from what publishers say; one that changes its mind is an alarm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.checksums import CHECKSUMS
from maintenance import checksums as subject


class Publishers:
    """Every publisher at once: a sum for each name, or 404."""

    def __init__(self, sha256: str = "", silent: str = "nobody") -> None:
        self.sha256 = sha256
        self.silent = silent

    @contextmanager
    def open(self, url: str, _offset: int) -> Iterator[Any]:
        files = [one for one in subject.wanted().values() if url in one.sums_urls]
        sums = {item.path.rsplit("/", 1)[1]: self.sha256 or CHECKSUMS.get(item.urls[0], "b" * 64) for item in files}
        body = "".join(f"{sha256}  {name}\n" for name, sha256 in sums.items()).encode()

        class Answer:
            status = 404 if self.silent in url else 200
            headers: ClassVar[dict[str, str]] = {}

            def read(self, _amount: int) -> bytes:
                return body

        yield Answer()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    copy = tmp_path / "checksums.py"
    copy.write_text(subject.TARGET.read_text())
    return copy


def read(path: Path) -> dict[str, str]:
    namespace: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    found: dict[str, str] = namespace["CHECKSUMS"]
    return found


def test_every_file_gets_its_sum(target: Path) -> None:
    assert subject.main(Publishers(), target) == 0
    found = read(target)
    assert set(found) == set(subject.wanted())
    assert {url: found[url] for url in CHECKSUMS} == CHECKSUMS


def test_a_silent_publisher_is_told_and_the_rest_is_kept(target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert subject.main(Publishers(silent="dl.k8s.io"), target) == 0
    assert "not known: https://dl.k8s.io" in capsys.readouterr().out
    found = read(target)
    assert set(CHECKSUMS) <= set(found)
    assert any("containerd" in url for url in found)


def test_a_publisher_that_says_something_else_is_an_alarm(target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = target.read_text()
    assert subject.main(Publishers("c" * 64), target) == 1
    assert target.read_text() == before
    assert "NOTHING WAS WRITTEN" in capsys.readouterr().out


def test_the_table_is_as_the_command_writes_it() -> None:
    text = subject.TARGET.read_text()
    assert subject.render(CHECKSUMS, text) == text
