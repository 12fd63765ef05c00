# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program for hosts, in one file: module_utils that import nothing from Ansible, as Python runs a zip archive.

So what runs there without Ansible is the code that the modules run and the tests test. The same sources are the same
bytes; they are stored and not compressed, so that they can be read on the host with `unzip -p`.
"""

from __future__ import annotations

import ast
import functools
import io
import zipfile
from pathlib import Path

UTILS = Path(__file__).resolve().parent.parent / "module_utils"
PACKAGE = "ansible_collections/quorum/kubeadm/plugins/module_utils"
DOTTED = PACKAGE.replace("/", ".")
START = "import sys\n\nfrom {module} import main\n\nsys.exit(main())\n"
# The first one that an archive can have.
TIME = (1980, 1, 1, 0, 0, 0)


def imported(path: Path) -> set[str]:
    """Names of the module_utils that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            module = (node.module or "").removeprefix(DOTTED).lstrip(".")
            if node.level == 1 or (node.module or "").startswith(DOTTED):
                names |= {module} if module else {alias.name for alias in node.names}
    return names


def needed(entry: str) -> list[str]:
    """The module and everything that it imports of ours."""
    found, waiting = {entry}, [entry]
    while waiting:
        news = imported(UTILS / f"{waiting.pop()}.py") - found
        found |= news
        waiting += sorted(news)
    return sorted(found)


@functools.lru_cache
def archive(entry: str) -> bytes:
    """The program whose `main` is in this module."""
    folders = PACKAGE.split("/")
    files = {"/".join([*folders[:depth], "__init__.py"]): "" for depth in range(1, len(folders) + 1)}
    for name in needed(entry):
        files[f"{PACKAGE}/{name}.py"] = (UTILS / f"{name}.py").read_text(encoding="utf-8")
    files["__main__.py"] = START.format(module=f"{DOTTED}.{entry}")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as target:
        for name in sorted(files):
            target.writestr(zipfile.ZipInfo(name, TIME), files[name])
    return stream.getvalue()
