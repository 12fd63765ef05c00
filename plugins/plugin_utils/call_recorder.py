# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records every call of every connection plugin, across Ansible's worker processes.

ansible-core runs each host-task in a process that it makes with fork (ansible.utils.multiprocessing). So what is
installed in the main process before the first task is there in every worker: the wrapped classes, and the file
descriptor of the record file. That file has no name (it is unlinked at once), so nothing can be left behind.
"""

from __future__ import annotations

import fcntl
import functools
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.plugin_utils.call_budget import Call, parse_calls

METHODS = {"exec_command": "exec", "put_file": "put", "fetch_file": "fetch"}


@dataclass(frozen=True)
class Origin:
    """Who made a call: the host that it goes to, the role and the task."""

    host: str
    role: str
    task: str


class Recorder:
    """An append-only record file that all workers share through fork."""

    def __init__(self, origin: Callable[[Any], Origin]) -> None:
        """origin: connection -> Origin, asked in the worker."""
        self._origin = origin
        self._inside = False
        self._fd, path = tempfile.mkstemp(prefix="call_budget_")
        os.unlink(path)
        fcntl.fcntl(self._fd, fcntl.F_SETFL, fcntl.fcntl(self._fd, fcntl.F_GETFL) | os.O_APPEND)

    def calls(self) -> list[Call]:
        size = os.fstat(self._fd).st_size
        return parse_calls(os.pread(self._fd, size, 0).splitlines())

    def close(self) -> None:
        os.close(self._fd)

    def install(self, base: type) -> None:
        """Wrap the connection classes that exist and those that are defined from now on."""
        for cls in _descendants(base):
            self._wrap_class(cls)

        def init_subclass(cls: Any, /, **kwargs: Any) -> None:
            super(base, cls).__init_subclass__(**kwargs)  # type: ignore[arg-type]  # - the class is known only here
            self._wrap_class(cls)

        setattr(base, "__init_subclass__", classmethod(init_subclass))  # noqa: B010 - mypy refuses the assignment

    def _wrap_class(self, cls: type) -> None:
        for name, kind in METHODS.items():
            method = cls.__dict__.get(name)
            if callable(method) and not getattr(method, "counts_calls", False):
                setattr(cls, name, self._wrapped(method, kind))

    def _wrapped(self, method: Callable[..., Any], kind: str) -> Callable[..., Any]:
        @functools.wraps(method)
        def counted(connection: Any, *args: Any, **kwargs: Any) -> Any:
            # put_file may be made of exec_command, and exec_command calls its base class: only the outer one counts.
            if self._inside:
                return method(connection, *args, **kwargs)
            self._inside, started, result = True, time.monotonic(), None
            try:
                result = method(connection, *args, **kwargs)
            finally:
                self._inside = False
                self._record(connection, kind, measure(kind, args, kwargs, result), time.monotonic() - started)
            return result

        counted.counts_calls = True  # type: ignore[attr-defined]  # - a mark on a function
        return counted

    def _record(self, connection: Any, kind: str, size: tuple[int, int], seconds: float) -> None:
        origin = self._origin(connection)
        remote = getattr(connection, "transport", "") != "local"
        call = Call(origin.host, origin.role, origin.task, kind, remote, size[0], size[1], seconds)
        try:
            os.write(self._fd, call.line())
        except OSError:
            return  # a full disk costs the figure, never the run


def measure(kind: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> tuple[int, int]:
    """Bytes sent and received by one call."""
    if kind == "exec":
        command = args[0] if args else kwargs.get("cmd")
        data = args[1] if len(args) > 1 else kwargs.get("in_data")
        printed = result[1:] if result else ()
        return _length(command) + _length(data), sum(_length(part) for part in printed)
    source = args[0] if args else kwargs.get("in_path")
    target = args[1] if len(args) > 1 else kwargs.get("out_path")
    return (_file_size(source), 0) if kind == "put" else (0, _file_size(target))


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode(errors="surrogateescape"))
    return len(value) if isinstance(value, (bytes, bytearray)) else 0


def _file_size(path: Any) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, TypeError, ValueError):
        return 0


def _descendants(base: type) -> list[type]:
    found: list[type] = []
    cls: type
    for cls in base.__subclasses__():
        found += [cls, *_descendants(cls)]
    return found
