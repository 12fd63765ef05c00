"""`ansible-test sanity` over what the collection ships, without an ignore file.

ansible-test wants a path that ends in ansible_collections/<namespace>/<name>, which a checkout does not have:
the files go into a temporary directory. Its own virtual environments are kept under ~/.ansible/test/venv.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ("meta", "plugins", "roles", "playbooks", "galaxy.yml", "README.md", "LICENSE")
TARGET = "ansible_collections/quorum/kubeadm"
# The version that ansible-test of the pinned ansible-core puts into its environments.
PIP = "24.2"
# ansible-test would fetch this script from a site of its own; the same pip comes from the package index as well.
GET_PIP = """\
import runpy
import sys

sys.path.insert(0, {wheel!r})
sys.argv[1:] = ["install", *(arg for arg in sys.argv[1:] if arg not in ("--no-setuptools", "--no-wheel"))]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


def files(root: Path) -> list[str]:
    """What git would commit: tracked files and new ones that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *SHIPPED]
    names = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.split("\0")
    return [name for name in sorted(set(names)) if name and (root / name).is_file()]


def export(root: Path, target: Path) -> int:
    """Copy those files; the copy is a collection like the one that a user installs."""
    names = files(root)
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, target / name)
    return len(names)


def bring_pip(cache: Path) -> None:
    """Put a script where ansible-test looks for one that installs pip into an empty environment."""
    script = cache / f"get_pip_{PIP.replace('.', '_')}.py"
    if script.exists():
        return
    cache.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache), f"pip=={PIP}"]
    subprocess.run(command, check=True)
    (wheel,) = cache.glob(f"pip-{PIP}-*.whl")
    script.write_text(GET_PIP.format(wheel=str(wheel)))


def main() -> int:
    bring_pip(Path("~/.ansible/test/cache").expanduser())
    with tempfile.TemporaryDirectory(prefix="sanity-") as scratch:
        collection = Path(scratch) / TARGET
        count = export(ROOT, collection)
        print(f"ansible-test sanity: {count} files", flush=True)
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        command = ["ansible-test", "sanity", "--color", "no", "--truncate", "0", "--python", python, *sys.argv[1:]]
        return subprocess.run(command, cwd=collection, env=environment(), check=False).returncode


def environment() -> dict[str, str]:
    """The caller's, without what would make ansible-test read this checkout's configuration."""
    return {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}


if __name__ == "__main__":
    sys.exit(main())
