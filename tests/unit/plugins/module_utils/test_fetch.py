"""Downloads against a server that breaks in every way FAULTS.md 10 names; nothing half-written is ever taken."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import fetch as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.downloads import Download
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, RefusedError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.fetch_http import HttpOpener, parse_logins
from tests.unit.file_server import FileServer, serving

CONTENT = bytes(range(256)) * 4000
SHA = hashlib.sha256(CONTENT).hexdigest()
PATH = "downloads/tool"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setattr(subject, "PAUSE", 0.0)
    with serving() as running:
        running.files["/tool"] = CONTENT
        yield running


def item(*urls: str, sha256: str = SHA, size: int = len(CONTENT), sums: tuple[str, ...] = ()) -> Download:
    return Download(PATH, urls, sha256, size, sums)


def fetch(folder: Path, *items: Download) -> list[subject.Fetched]:
    return subject.Fetcher(HttpOpener(), str(folder)).fetch(list(items))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def refused(folder: Path, *items: Download) -> str:
    with pytest.raises(UnreachableError) as caught:
        fetch(folder, *items)
    assert "no service was touched" in str(caught.value)
    assert not (folder / PATH).exists()
    return caught.value.found


def test_a_file_is_fetched_once(server: FileServer, tmp_path: Path) -> None:
    (first,) = fetch(tmp_path, item(server.url("/tool")))
    assert (first.received, first.url) == (len(CONTENT), server.url("/tool"))
    assert (tmp_path / PATH).read_bytes() == CONTENT
    (second,) = fetch(tmp_path, item(server.url("/tool")))
    assert second == subject.Fetched(PATH)
    assert len(server.requests) == 1
    assert names(tmp_path) == ["tool"]


def test_a_broken_download_goes_on_where_it_ended(server: FileServer, tmp_path: Path) -> None:
    server.cuts["/tool"] = [300_000, 200_000]
    (one,) = fetch(tmp_path, item(server.url("/tool")))
    assert (tmp_path / PATH).read_bytes() == CONTENT
    assert [wanted for _path, wanted, _login in server.requests] == ["", "bytes=300000-", "bytes=500000-"]
    assert one.received == len(CONTENT)


def test_also_in_the_next_run(server: FileServer, tmp_path: Path) -> None:
    server.cuts["/tool"] = [1000, 0, 0]
    assert "broke off after 1000 of 1024000 bytes" in refused(tmp_path, item(server.url("/tool")))
    assert names(tmp_path) == [".tool.part"]
    (one,) = fetch(tmp_path, item(server.url("/tool")))
    assert one.received == len(CONTENT) - 1000
    assert server.requests[-1][1] == "bytes=1000-"


def test_a_server_without_ranges_sends_all_of_it_again(server: FileServer, tmp_path: Path) -> None:
    server.ranges = False
    server.cuts["/tool"] = [1000]
    fetch(tmp_path, item(server.url("/tool")))
    assert (tmp_path / PATH).read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"another file's beginning", CONTENT + b"more", CONTENT])
def test_what_an_earlier_run_left_is_not_trusted(server: FileServer, tmp_path: Path, left: bytes) -> None:
    part = tmp_path / "downloads" / ".tool.part"
    part.parent.mkdir()
    part.write_bytes(left)
    fetch(tmp_path, item(server.url("/tool")))
    assert (tmp_path / PATH).read_bytes() == CONTENT
    assert names(tmp_path) == ["tool"]


def test_fault_10_wrong_checksum_names_both(server: FileServer, tmp_path: Path) -> None:
    found = refused(tmp_path, item(server.url("/tool"), sha256="0" * 64))
    assert f"expected sha256 {'0' * 64}, actual {SHA} ({len(CONTENT)} bytes)" in found
    assert names(tmp_path) == []


def test_fault_10_truncated_on_the_server(server: FileServer, tmp_path: Path) -> None:
    server.files["/tool"] = CONTENT[:-1]
    assert f"has {len(CONTENT) - 1} bytes, expected {len(CONTENT)}" in refused(tmp_path, item(server.url("/tool")))
    # Without a known size the checksum tells.
    assert "expected sha256" in refused(tmp_path, item(server.url("/tool"), size=0))


def test_fault_10_a_page_with_status_200(server: FileServer, tmp_path: Path) -> None:
    server.pages.add("/tool")
    assert "answers 200 with a page (text/html)" in refused(tmp_path, item(server.url("/tool"), size=0))


def test_fault_10_a_dead_mirror(tmp_path: Path) -> None:
    with serving() as gone:
        url = gone.url("/tool")
    assert "does not answer: Connection refused" in refused(tmp_path, item(url))


@pytest.mark.parametrize(("statuses", "asked"), [([503, 503], 3), ([404], 1), ([500, 500, 500], 3)])
def test_only_what_may_pass_is_tried_again(server: FileServer, tmp_path: Path, statuses: list[int], asked: int) -> None:
    server.statuses["/tool"] = list(statuses)
    if statuses == [503, 503]:
        fetch(tmp_path, item(server.url("/tool")))
    else:
        assert f"answers {statuses[-1]}" in refused(tmp_path, item(server.url("/tool")))
    assert len(server.requests) == asked


def test_the_next_url_is_tried_and_every_reason_is_told(server: FileServer, tmp_path: Path) -> None:
    server.pages.add("/portal")
    fetch(tmp_path, item(server.url("/portal"), server.url("/gone"), server.url("/tool")))
    assert (tmp_path / PATH).read_bytes() == CONTENT
    (tmp_path / PATH).unlink()
    found = refused(tmp_path, item(server.url("/portal"), server.url("/gone")))
    assert "/portal answers 200 with a page" in found
    assert "/gone answers 404" in found


def test_all_that_is_wrong_is_told_at_once_and_the_rest_is_kept(server: FileServer, tmp_path: Path) -> None:
    good = Download("downloads/good", (server.url("/tool"),), SHA)
    bad = [Download(f"downloads/{name}", (server.url(f"/{name}"),), SHA) for name in ("one", "two")]
    with pytest.raises(UnreachableError) as caught:
        fetch(tmp_path, good, *bad)
    assert "2 of 3 files" in caught.value.what
    assert "downloads/one" in caught.value.found
    assert "downloads/two" in caught.value.found
    assert names(tmp_path) == ["good"]


def test_a_server_that_sends_too_much_is_stopped(server: FileServer, tmp_path: Path) -> None:
    server.files["/tool"] = CONTENT * 3
    assert "bytes, expected" in refused(tmp_path, item(server.url("/tool")))


def test_no_room(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no room"):
        fetch(tmp_path, item(server.url("/tool"), size=1 << 60))
    assert not server.requests


@pytest.mark.parametrize("text", ["{sha}", "{sha}  tool\n", "0" * 64 + "  other\n{sha} *./tool\n"])
def test_the_publisher_tells_the_checksum(server: FileServer, tmp_path: Path, text: str) -> None:
    server.files["/sums"] = text.format(sha=SHA).encode()
    fetch(tmp_path, item(server.url("/tool"), sha256="", sums=(server.url("/sums"),)))
    assert (tmp_path / PATH).read_bytes() == CONTENT


def test_no_checksum_no_download(server: FileServer, tmp_path: Path) -> None:
    server.files["/sums"] = ("0" * 64 + "  other\n").encode()
    server.pages.add("/page")
    wanted = item(server.url("/tool"), sha256="", sums=(server.url("/sums"), server.url("/page"), server.url("/gone")))
    found = refused(tmp_path, wanted)
    for text in ("/sums has no checksum of tool", "/page answers 200 with a page", "/gone answers 404"):
        assert text in found
    assert "/tool" not in [path for path, _range, _login in server.requests]


def test_a_login_goes_to_its_host_and_nowhere_else(server: FileServer, tmp_path: Path) -> None:
    with serving() as other:
        other.files["/tool"] = CONTENT
        server.redirects["/moved"] = other.url("/tool")
        server.redirects["/here"] = server.url("/tool")
        logins = parse_logins({f"127.0.0.1:{server.port}": {"username": "u", "secret_b64": "cDp3"}})
        fetcher = subject.Fetcher(HttpOpener(logins=logins), str(tmp_path))
        fetcher.fetch([item(server.url("/moved"))])
        assert server.requests[0][2] == "Basic dTpwOnc="
        assert [login for _path, _range, login in other.requests] == [""]
        os.unlink(tmp_path / PATH)
        fetcher.fetch([item(server.url("/here"))])
        assert server.requests[-1] == ("/tool", "", "Basic dTpwOnc=")


@pytest.mark.parametrize("login", [{}, {"username": "u"}, {"username": "u", "secret_b64": "?"}, "u:p"])
def test_a_login_that_cannot_be_used(login: object) -> None:
    with pytest.raises(InputError, match=r"mirror\.example\.com"):
        parse_logins({"mirror.example.com": login})


def test_a_ca_that_is_none() -> None:
    with pytest.raises(InputError, match="CA cannot be used"):
        HttpOpener("no certificate")


def test_progress_is_told(server: FileServer, tmp_path: Path) -> None:
    seen: list[int] = []
    subject.Fetcher(HttpOpener(), str(tmp_path), progress=lambda _item, got: seen.append(got)).fetch(
        [item(server.url("/tool"))]
    )
    assert seen == sorted(seen)
    assert seen[-1] == len(CONTENT)
