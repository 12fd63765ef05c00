"""A host in a directory: real files below a root, programs that answer from a table."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host, Result

Answer = Result | Callable[[list[str]], Result]


class FakeHost(Host):
    """Programs are looked up by the beginning of their command line; an unknown one is not installed."""

    def __init__(self, root: Path, programs: dict[str, Answer] | None = None) -> None:
        super().__init__(str(root))
        self.programs = programs or {}
        self.calls: list[list[str]] = []

    def write(self, path: str, content: str | bytes) -> Path:
        """Put a file on the host."""
        target = Path(self.real(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    def which(self, name: str) -> bool:
        return any(line.split()[0] == name for line in self.programs)

    def run(self, argv: list[str], timeout: float = 60.0) -> Result:
        self.calls.append(argv)
        line = " ".join(argv)
        for beginning in sorted(self.programs, key=len, reverse=True):
            if line.startswith(beginning):
                answer = self.programs[beginning]
                return answer(argv) if callable(answer) else answer
        return Result(127, "", "no such program")

    def commands(self) -> list[str]:
        return [" ".join(argv) for argv in self.calls]


def ok(text: str = "") -> Result:
    return Result(0, text, "")


def tree(root: Path) -> dict[str, tuple[int, bytes]]:
    """Everything below a directory: mode and content, to prove that nothing has changed."""
    found = {}
    for path in sorted(root.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(root))] = (path.lstat().st_mode, content)
    return found
