"""bundle_images: the whole module, with a program in the place of ctr that keeps its images in a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_store import import_images
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError
from tests.unit.plugins.module_utils.bundle_fixture import IMAGES, SOURCE, config_id, write_bundle
from tests.unit.plugins.module_utils.fake_host import FakeHost
from tests.unit.plugins.modules.support import run_module

CTR = """#!{python}
import json, pathlib, sys
store = pathlib.Path({store!r})
images = json.loads(store.read_text()) if store.exists() else {{}}
known = json.loads({known!r})
words = sys.argv[3:]
with open({log!r}, "a") as log:
    log.write(" ".join(words[:2]) + "\\n")
if words[:2] == ["images", "ls"]:
    print("REF TYPE DIGEST SIZE PLATFORMS LABELS")
    for ref, (digest, label) in images.items():
        print(ref, "type", digest, "1.5 MiB linux/amd64", label)
elif words[:2] == ["images", "import"]:
    label = words[words.index("--label") + 1]
    images.update({{ref: [digest, label] for ref, digest in known[pathlib.Path(words[-1]).name].items()}})
    store.write_text(json.dumps(images))
else:
    sys.exit(3)
"""


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    made = FakeHost(tmp_path)
    write_bundle(made)
    known = {
        path.split("/")[1]: {r: config_id(letter) for r, letter in refs.items()}
        for path, (_r, _c, refs) in IMAGES.items()
    }
    script = CTR.format(
        python=sys.executable,
        store=str(tmp_path / "store.json"),
        known=json.dumps(known),
        log=str(tmp_path / "calls"),
    )
    made.write("/usr/bin/ctr", script).chmod(0o755)
    made.programs[str(tmp_path / "usr/bin/ctr")] = lambda argv: super(FakeHost, made).run(argv)
    return made


def params(host: FakeHost, **given: Any) -> dict[str, Any]:
    defaults = {"source": SOURCE, "roles": ["control_plane"], "namespace": "k8s.io", "unpack": True, "timeout": 60.0}
    return {**defaults, "ctr": host.real("/usr/bin/ctr"), **given}


def calls(tmp_path: Path) -> list[str]:
    log = tmp_path / "calls"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


def test_check_predicts_the_real_run_and_the_second_asks_once(host: FakeHost, tmp_path: Path) -> None:
    predicted = import_images(host, params(host), effects=False)
    assert not (tmp_path / "store.json").exists()
    real = import_images(host, params(host), effects=True)
    assert predicted == real
    assert real["changed"] is True
    assert real["imported"] == ["images/node.tar", "images/control-plane.tar"]
    assert real["refs"] == sorted(ref for _r, _c, refs in IMAGES.values() for ref in refs)
    labels = {label for _digest, label in json.loads((tmp_path / "store.json").read_text()).values()}
    assert labels == {"io.cri-containerd.pinned=pinned"}
    calls(tmp_path)
    again = import_images(host, params(host), effects=True)
    assert (again["changed"], again["imported"], again["steps"]) == (False, [], [])
    assert calls(tmp_path) == ["images ls"]


def test_a_damaged_archive_is_never_imported(host: FakeHost, tmp_path: Path) -> None:
    host.write(f"{SOURCE}/images/node.tar", b"node archivX")
    with pytest.raises(InputError, match=r"images/node\.tar: expected sha256"):
        import_images(host, params(host), effects=True)
    assert calls(tmp_path) == ["images ls"]


def test_in_check_mode_a_containerd_that_is_not_there_yet_has_no_images(host: FakeHost) -> None:
    arguments = params(host, ctr="/usr/bin/no-such-ctr")
    assert len(import_images(host, arguments, effects=False)["imported"]) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"ctr": "/usr/bin/no-such-ctr"},
        {"ctr": "ctr"},
        {"namespace": "-n x"},
        {"namespace": "a/../b"},
        {"source": "/none"},
        {"roles": []},
        {"roles": ["lb"]},
    ],
)
def test_a_bad_input_is_refused_with_words(host: FakeHost, tmp_path: Path, arguments: dict[str, Any]) -> None:
    good = params(host, source=f"{tmp_path}{SOURCE}")
    result = run_module("bundle_images", {**good, **arguments})
    if arguments == {"roles": []}:
        assert result["refs"] == []
        return
    assert result["failed"]
    assert "Traceback" not in str(result)
    assert calls(tmp_path) == []
