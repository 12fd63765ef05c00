"""host_config as Ansible runs it: a process, JSON in, JSON out, real files."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.unit.plugins.module_utils.fake_host import tree
from tests.unit.plugins.modules.support import run_module

OWNER = {"owner": str(os.geteuid()), "group": str(os.getegid())}
SECRET = "the-first-line-of-it\nthe-second-line-of-it\n"


def both(arguments: dict[str, Any], root: Path) -> dict[str, Any]:
    """Check, real, again: check predicts the real run, the second run has nothing to do."""
    before = tree(root)
    predicted = run_module("host_config", arguments, check=True)
    assert tree(root) == before
    real = run_module("host_config", arguments)
    assert not real["failed"], real.get("msg")
    assert predicted == real
    again = run_module("host_config", arguments)
    assert (again["changed"], again["steps"], again["diff"]) == (False, [], [])
    return real


def test_files_are_written_once(tmp_path: Path) -> None:
    files = [
        {"path": f"{tmp_path}/d/a.conf", "content": "a = 1\n", **OWNER},
        {"path": f"{tmp_path}/d/b", "content_b64": base64.b64encode(b"\0\1").decode(), "mode": "0755", **OWNER},
    ]
    result = both({"directories": [{"path": f"{tmp_path}/d", **OWNER}], "files": files}, tmp_path)
    assert result["changed_files"] == [f"{tmp_path}/d", f"{tmp_path}/d/a.conf", f"{tmp_path}/d/b"]
    assert result["diff"][1]["after"] == "a = 1\n"
    assert (tmp_path / "d/b").read_bytes() == b"\0\1"


def test_a_secret_is_in_no_part_of_the_result(tmp_path: Path) -> None:
    path = tmp_path / "encryption.yaml"
    path.write_text("old-secret-text")
    encoded = base64.b64encode(SECRET.encode()).decode()
    result = both({"files": [{"path": str(path), "secret_b64": encoded, **OWNER}]}, tmp_path)
    assert path.read_text() == SECRET
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = json.dumps(result)
    for part in ("the-first-line", "the-second-line", "old-secret-text", encoded):
        assert part not in text
    assert result["diff"][0]["after"] == "(secret, sha256 changed)\n"


def test_a_validator_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("old")
    before = tree(tmp_path)
    result = run_module(
        "host_config",
        {
            "files": [
                {"path": f"{tmp_path}/kept", "content": "new", **OWNER},
                {"path": f"{tmp_path}/bad", "content": "x", "validate": ["/bin/grep", "-q", "y", "{}"], **OWNER},
            ]
        },
    )
    assert result["failed"]
    assert result["error"]["where"] == f"{tmp_path}/bad"
    assert "nothing was changed" in result["msg"]
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "content", ["; rm -rf /\n", "{{ lookup('pipe', 'id') }}", "$(id)", "a\nb\n", "x" * 100_000, "-n"]
)
def test_content_is_taken_as_it_is(tmp_path: Path, content: str) -> None:
    target = {"path": f"{tmp_path}/x", "content": content, "validate": ["/bin/cmp", "{}", f"{tmp_path}/want"], **OWNER}
    (tmp_path / "want").write_text(content)
    both({"files": [target]}, tmp_path)
    assert (tmp_path / "x").read_text() == content


@pytest.mark.parametrize(
    "arguments",
    [
        {"files": [{"path": "/tmp/x", "content": "a", "content_b64": "YQ=="}]},
        {"files": [{"path": "/tmp/x"}]},
        {"files": [{"path": "../x", "content": "a"}]},
        {"files": [{"path": "/tmp/$HOME/../x", "content": "a"}]},
        {"files": "not a list of files"},
        {"units": [{"name": "-x", "state": "started"}]},
        {"units": [{"name": "a; reboot", "state": "started"}]},
        {"kernel_modules": ["; rm -rf /"]},
        {"sysctls": {"../../etc/passwd": "x"}},
        {"swap": "yes please"},
        {"hostname": "{{ name }}"},
        {"absent": ["-rf"]},
    ],
)
def test_a_bad_input_is_refused(arguments: dict[str, Any]) -> None:
    result = run_module("host_config", arguments, check=True)
    assert result["failed"]
    assert "Traceback" not in json.dumps(result)


def test_a_directory_that_is_not_empty_survives(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x").write_text("kept")
    result = run_module("host_config", {"absent": [f"{tmp_path}/data"]})
    assert result["failed"]
    assert (tmp_path / "data/x").read_text() == "kept"


def test_no_diff_unless_asked(tmp_path: Path) -> None:
    arguments = {"files": [{"path": f"{tmp_path}/x", "content": "a", **OWNER}]}
    assert "diff" not in run_module("host_config", arguments, diff=False)
