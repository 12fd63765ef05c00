# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Go toolchain that builds everything: one pinned version, whatever Go the machine has."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from lab.cache import cached
from lab.errors import LabError
from lab.shell import output, run

GO_VERSION = "1.26.8"
TOOLCHAIN = f"golang.org/toolchain@v0.0.1-go{GO_VERSION}.linux-amd64"
# The first Go that can fetch another toolchain by itself.
SELF_UPDATING = (1, 21)
PLACES = ("/usr/local/go/bin/go", "/usr/lib/go/bin/go")
BUILD_FLAGS = ("-mod=readonly", "-buildvcs=false", "-trimpath")


def find_go() -> tuple[str, tuple[int, int]] | None:
    """Return the machine's Go and its version."""
    for candidate in (shutil.which("go"), *PLACES):
        if candidate and Path(candidate).is_file():
            version = re.search(r"go(\d+)\.(\d+)", output([candidate, "version"], env={"GOTOOLCHAIN": "local"}))
            if version:
                return candidate, (int(version[1]), int(version[2]))
    return None


def go_command(cache: Path) -> str:
    """Return a Go that is the pinned version, or becomes it through GOTOOLCHAIN."""
    found = find_go()
    if found is None:
        raise LabError("There is no Go on this machine.", "python3 -m lab deps, which installs Debian's golang-go")
    program, version = found
    if version >= SELF_UPDATING:
        return program
    return str(cached(cache, "toolchain", "go", GO_VERSION, lambda work: _fetch(program, work)) / "bin" / "go")


def _fetch(program: str, work: Path) -> None:
    # An old Go gets the pinned one as what it is: a module. Modules carry no executable bits.
    environment = {"GOMODCACHE": str(work / "modules"), "GOFLAGS": "-modcacherw", "GO111MODULE": "on"}
    run([program, "mod", "download", TOOLCHAIN], cwd=work, env=environment)
    root = next((work / "modules" / "golang.org").glob("toolchain@*"))
    for entry in root.iterdir():
        entry.rename(work / entry.name)
    shutil.rmtree(work / "modules")
    for directory in (work / "bin", *(work / "pkg" / "tool").glob("*")):
        for tool in directory.iterdir():
            tool.chmod(0o755)


def build(cache: Path, module: Path, target: Path, *, packages: str, flags: tuple[str, ...], cgo: bool) -> None:
    """Build `packages` of the module directory into `target`, only from what its go.sum names."""
    environment = {
        "GOTOOLCHAIN": f"go{GO_VERSION}",
        "GOFLAGS": "",
        "GOWORK": "off",
        "GOOS": "linux",
        "GOARCH": "amd64",
        "CGO_ENABLED": "1" if cgo else "0",
    }
    program = go_command(cache)
    run(
        ["nice", "-n", "10", program, "build", *BUILD_FLAGS, *flags, "-o", f"{target}/", packages],
        cwd=module,
        env=environment,
    )
