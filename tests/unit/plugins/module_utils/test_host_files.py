"""Files: compared, validated all together, written atomically. Everything on a real file system."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_entries import Entry, FilePlan, check_path, parse_mode
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_files import Files
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Result
from tests.unit.plugins.module_utils.fake_host import FakeHost, ok, tree

OWNER = {"owner": str(os.geteuid()), "group": str(os.getegid())}


def file(path: str, content: str | None, mode: int = 0o644, **more: Any) -> Entry:
    return Entry(path, None if content is None else content.encode(), mode, **{**OWNER, **more})


def host_with_etc(tmp_path: Path, programs: dict[str, Any] | None = None) -> FakeHost:
    host = FakeHost(tmp_path, programs)
    (tmp_path / "etc").mkdir()
    (tmp_path / "run").mkdir()
    return host


def converge(host: FakeHost, entries: list[Entry], absent: list[str] | None = None) -> FilePlan:
    """Plan, validate, apply, and prove that a second plan has nothing to do."""
    directories = [entry for entry in entries if entry.content is None]
    files = [entry for entry in entries if entry.content is not None]
    writer = Files(host)
    before = tree(tmp := Path(host.root))
    predicted = Files(host, check_mode=True).plan(directories, files, absent or [])
    assert tree(tmp) == before, "planning writes nothing"
    plan = writer.plan(directories, files, absent or [])
    assert plan.steps() == predicted.steps(), "check == real"
    writer.validate(plan)
    writer.apply(plan)
    assert writer.plan(directories, files, absent or []).steps() == [], "second run == zero steps"
    return plan


def test_create_directory_and_files_with_their_modes(tmp_path: Path) -> None:
    host = host_with_etc(tmp_path)
    entries = [
        file("/etc/a", None, 0o750),
        file("/etc/a/b.conf", "x\n"),
        file("/etc/a/s", "secret", 0o600, secret=True),
    ]
    plan = converge(host, entries)
    assert plan.changed == ["/etc/a", "/etc/a/b.conf", "/etc/a/s"]
    assert (tmp_path / "etc/a/b.conf").read_text() == "x\n"
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("etc/a", "etc/a/b.conf", "etc/a/s")]
    assert modes == [0o750, 0o644, 0o600]
    assert [path.name for path in (tmp_path / "etc/a").iterdir() if path.name.startswith(".")] == []


def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    host = host_with_etc(tmp_path)
    old = os.umask(0o077)
    try:
        converge(host, [file("/etc/a", None, 0o755), file("/etc/a/b", "x", 0o644)])
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "etc/a/b").stat().st_mode) == 0o644


def test_a_mode_alone_is_a_change_that_keeps_the_file(tmp_path: Path) -> None:
    host = host_with_etc(tmp_path)
    target = host.write("/etc/x", "same")
    target.chmod(0o600)
    inode = target.stat().st_ino
    plan = converge(host, [file("/etc/x", "same", 0o644)])
    assert target.stat().st_ino == inode
    assert "was 0600" in plan.steps()[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_an_owner_alone_is_a_change(tmp_path: Path) -> None:
    host = host_with_etc(tmp_path)
    target = host.write("/etc/x", "same")
    target.chmod(0o644)
    user, group = pwd.getpwall()[-1].pw_name, grp.getgrall()[-1].gr_name
    converge(host, [Entry("/etc/x", b"same", 0o644, user, group)])
    assert target.stat().st_uid == pwd.getpwnam(user).pw_uid
    assert target.stat().st_gid == grp.getgrnam(group).gr_gid


def test_another_content_replaces_the_file_as_a_whole(tmp_path: Path) -> None:
    host = host_with_etc(tmp_path)
    target = host.write("/etc/x", "old")
    with target.open() as reader:
        converge(host, [file("/etc/x", "new")])
        assert reader.read() == "old", "whoever has it open reads the old file to its end"
    assert target.read_text() == "new"


def test_a_symbolic_link_is_followed_and_stays(tmp_path: Path) -> None:
    host = host_with_etc(tmp_path)
    host.write("/etc/real.conf", "old")
    os.symlink("real.conf", tmp_path / "etc/link.conf")
    converge(host, [file("/etc/link.conf", "new")])
    assert (tmp_path / "etc/link.conf").is_symlink()
    assert (tmp_path / "etc/real.conf").read_text() == "new"


def test_absent_removes_links_files_and_empty_directories_only(tmp_path: Path) -> None:
    host = host_with_etc(tmp_path)
    target = host.write("/etc/target", "kept")
    os.symlink("target", tmp_path / "etc/link")
    host.write("/etc/gone", "x")
    (tmp_path / "etc/empty").mkdir()
    converge(host, [], ["/etc/link", "/etc/gone", "/etc/empty", "/etc/never-there"])
    assert sorted(path.name for path in (tmp_path / "etc").iterdir()) == ["target"]
    assert target.read_text() == "kept"


def refused(host: FakeHost, entries: list[Entry], absent: list[str] | None = None, kind: Any = RefusedError) -> Any:
    """The refusal, after proving that it left no trace."""
    before = tree(Path(host.root))
    writer = Files(host)
    with pytest.raises(kind) as caught:
        plan = writer.plan(
            [e for e in entries if e.content is None], [e for e in entries if e.content is not None], absent or []
        )
        writer.validate(plan)
    assert tree(Path(host.root)) == before
    return caught.value


def test_a_directory_with_something_in_it_is_never_removed(tmp_path: Path) -> None:
    host = host_with_etc(tmp_path)
    host.write("/etc/full/x", "data")
    error = refused(host, [file("/etc/other", "x")], ["/etc/full"])
    assert error.where == "/etc/full"
    assert "1 entries" in error.found


def test_a_missing_parent_is_named_with_what_to_do(tmp_path: Path) -> None:
    error = refused(host_with_etc(tmp_path), [file("/etc/a/b/c.conf", "x")], kind=InputError)
    assert error.where == "/etc/a/b/c.conf"
    assert error.next_step == "list /etc/a/b under `directories`"


@pytest.mark.parametrize(("have", "wanted"), [("file", None), ("directory", "x"), ("fifo", "x")])
def test_a_path_that_is_taken_is_left_alone(tmp_path: Path, have: str, wanted: str | None) -> None:
    host = host_with_etc(tmp_path)
    if have == "file":
        host.write("/etc/x", "data")
    elif have == "directory":
        host.write("/etc/x/y", "data")
    else:
        os.mkfifo(tmp_path / "etc/x")
    with pytest.raises(RefusedError, match="taken by something else"):
        Files(host).plan(*(([file("/etc/x", None)], []) if wanted is None else ([], [file("/etc/x", wanted)])), [])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission_is_found_before_anything_is_written(tmp_path: Path) -> None:
    host = host_with_etc(tmp_path)
    (tmp_path / "etc").chmod(0o555)
    assert "no permission" in refused(host, [file("/etc/x", "x")]).found


def test_a_read_only_file_system_is_found_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = host_with_etc(tmp_path)
    host.write("/etc/x", "old")
    space = os.statvfs_result((4096, 4096, 1, 1, 1, 1, 1, 1, os.ST_RDONLY, 255))
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    monkeypatch.setattr(os, "statvfs", lambda path: space)
    error = refused(host, [file("/etc/x", "new"), file("/etc/y", "1")])
    assert "read-only file system" in error.found
    assert error.next_step == "mount it read-write"
    assert Files(host).plan([], [], []).steps() == []


def test_an_unknown_owner_is_refused_but_in_check_mode_may_still_come(tmp_path: Path) -> None:
    host = host_with_etc(tmp_path)
    host.write("/etc/x", "same")
    entry = file("/etc/x", "same", owner="nobody-of-this-name")
    assert "no such user" in refused(host, [entry], kind=InputError).what
    assert Files(host, check_mode=True).plan([], [entry], []).changed == ["/etc/x"]


def test_all_validators_run_before_the_first_write(tmp_path: Path) -> None:
    host = host_with_etc(tmp_path, {"good": ok(), "bad": Result(1, "", "line 3: unknown keyword")})
    entries = [file("/etc/a", "1", validate=("good", "{}")), file("/etc/b", "2", validate=("bad", "-f", "{}"))]
    error = refused(host, entries, kind=CommandError)
    assert error.where == "/etc/b"
    assert "line 3: unknown keyword" in error.found
    assert "nothing was changed" in error.what
    assert [argv[0] for argv in host.calls] == ["good", "bad"]
    assert host.calls[1][2].endswith("/b"), "the copy keeps the file's name"


def test_the_validator_sees_the_new_content_and_the_files_that_come_with_it(tmp_path: Path) -> None:
    seen = {}

    def check(argv: list[str]) -> Result:
        text = Path(argv[2]).read_text()
        seen["config"] = text
        seen["ca"] = Path(text.split()[1]).read_text()
        seen["mode"] = f"{stat.S_IMODE(Path(argv[2]).parent.stat().st_mode):04o}"
        return ok()

    host = host_with_etc(tmp_path, {"haproxy -c": check})
    entries = [
        file("/etc/ca.crt", "THE CA"),
        file("/etc/ca.crt.bak", "another"),
        file("/etc/haproxy.cfg", "ca-file /etc/ca.crt # not /etc/ca.crt.bak2\n", validate=("haproxy", "-c", "{}")),
    ]
    converge(host, entries)
    assert seen["ca"] == "THE CA"
    assert seen["config"].endswith("# not /etc/ca.crt.bak2\n")
    assert seen["mode"] == "0700"
    assert (tmp_path / "etc/haproxy.cfg").read_text().startswith("ca-file /etc/ca.crt #")
    assert list((tmp_path / "run").iterdir()) == []


def test_an_unchanged_file_is_not_validated_again(tmp_path: Path) -> None:
    host = host_with_etc(tmp_path, {"good": ok()})
    converge(host, [file("/etc/a", "1", validate=("good", "{}"))])
    assert len(host.calls) == 1


def test_what_a_validator_says_about_a_secret_is_withheld(tmp_path: Path) -> None:
    host = host_with_etc(tmp_path, {"bad": Result(1, "", "cannot parse: hunter2")})
    entry = file("/etc/s", "password: hunter2", 0o600, secret=True, validate=("bad", "{}"))
    error = refused(host, [entry], kind=CommandError)
    assert "hunter2" not in str(error.result())


def test_a_validator_that_is_not_there(tmp_path: Path) -> None:
    host = host_with_etc(tmp_path)
    entry = file("/etc/a", "1", validate=("haproxy", "-c", "{}"))
    assert "haproxy, which validates the new file, is not installed" in refused(host, [entry], kind=CommandError).what
    checker = Files(host, check_mode=True)
    notes = checker.validate(checker.plan([], [entry], []))
    assert notes == ["/etc/a was not validated: haproxy is not installed yet"]


def test_what_a_killed_run_left_behind_is_cleaned_up(tmp_path: Path) -> None:
    host = host_with_etc(tmp_path)
    host.write("/etc/x", "same").chmod(0o644)
    host.write("/etc/.x.quorum-new", "half of a sec").chmod(0o600)
    plan = converge(host, [file("/etc/x", "same")])
    assert plan.steps() == []
    assert not (tmp_path / "etc/.x.quorum-new").exists()


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = host_with_etc(tmp_path)
    host.write("/etc/x", "old")
    writer = Files(host)
    plan = writer.plan([], [file("/etc/x", "new")], [])

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RefusedError, match="No space left"):
        writer.apply(plan)
    assert tree(tmp_path / "etc") == {"x": ((tmp_path / "etc/x").lstat().st_mode, b"old")}


def test_a_mount_point_is_written_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = host_with_etc(tmp_path)
    target = host.write("/etc/hosts", "a longer old text")
    inode = target.stat().st_ino

    def busy(_old: str, _new: str) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(os, "rename", busy)
    converge(host, [file("/etc/hosts", "new")])
    assert (target.read_text(), target.stat().st_ino) == ("new", inode)
    assert sorted(path.name for path in (tmp_path / "etc").iterdir()) == ["hosts"]


def test_the_security_context_is_set_on_the_new_file_before_the_rename(tmp_path: Path) -> None:
    host = host_with_etc(tmp_path)
    seen = []

    def label(written: str, path: str) -> None:
        seen.append((Path(written).name, path, (tmp_path / "etc/x").exists()))

    writer = Files(host, label=label)
    writer.apply(writer.plan([], [file("/etc/x", "1")], []))
    assert seen == [(".x.quorum-new", "/etc/x", False)]


def test_diff_shows_text_hides_secrets_and_counts_binary(tmp_path: Path) -> None:
    host = host_with_etc(tmp_path)
    host.write("/etc/a", "old\n")
    host.write("/etc/s", "old secret")
    entries = [file("/etc/a", "new\n"), file("/etc/s", "new secret", 0o600, secret=True), file("/etc/b", "\0\1")]
    diffs = Files(host).plan([], entries, ["/etc/none"]).diffs()
    assert (diffs[0]["before"], diffs[0]["after"]) == ("old\n", "new\n")
    assert (diffs[1]["before"], diffs[1]["after"]) == ("(secret)\n", "(secret, sha256 changed)\n")
    assert diffs[2]["after"].startswith("(2 bytes, sha256 ")
    assert "secret" not in str(diffs).replace("(secret", "")


@pytest.mark.parametrize(
    "path", ["etc/x", "", "/etc/../x", "/etc/x/", "/a\nb", "/a\0b", "/" + "a" * 5000, "-rf", "{{ x }}"]
)
def test_a_path_with_a_trick_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="this path cannot be used"):
        check_path(path)


@given(st.text())
def test_only_absolute_paths_pass(path: str) -> None:
    try:
        assert check_path(path).startswith("/")
    except InputError as error:
        assert len(str(error)) < 600, "a long input is cut in the message"


@pytest.mark.parametrize("mode", ["u=rw", "0999", "", "07777777", "-644", "0644;x"])
def test_a_mode_must_be_octal(mode: str) -> None:
    with pytest.raises(InputError, match="octal"):
        parse_mode(mode, "/x")


@settings(max_examples=30)
@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c"]), st.tuples(st.binary(max_size=40), st.sampled_from([0o600, 0o644]))
    )
)
def test_any_set_of_files_converges_and_stays(tmp_path_factory: pytest.TempPathFactory, wanted: Any) -> None:
    host = host_with_etc(tmp_path_factory.mktemp("host"))
    host.write("/etc/b", "something else")
    converge(
        host,
        [
            Entry(f"/etc/{name}", content, mode, OWNER["owner"], OWNER["group"])
            for name, (content, mode) in wanted.items()
        ],
    )
    for name, (content, mode) in wanted.items():
        path = Path(host.root) / "etc" / name
        assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (content, mode)
