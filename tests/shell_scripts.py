"""shellcheck over every shell script of the checkout; installs Debian's shellcheck where it is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def scripts(root: Path) -> list[str]:
    """Files that end in .sh or begin with a shell's shebang."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted({name for name in names if name and (root / name).is_file() and is_shell(root / name)})


def is_shell(path: Path) -> bool:
    if path.suffix == ".sh":
        return True
    with path.open("rb") as stream:
        first = stream.readline(80)
    words = {word.rsplit(b"/")[-1] for word in first.removeprefix(b"#!").split()}
    return first.startswith(b"#!") and bool(words & {b"sh", b"bash"})


def install() -> None:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "-q", "update"], env=env, check=False)
    subprocess.run(["apt-get", "-qy", "install", "--no-install-recommends", "shellcheck"], env=env, check=True)


def main() -> int:
    if shutil.which("shellcheck") is None:
        install()
    names = scripts(ROOT)
    print(f"shellcheck: {len(names)} scripts: {' '.join(names)}", flush=True)
    return subprocess.run(["shellcheck", "--external-sources", "--", *names], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
