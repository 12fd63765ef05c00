"""One operation at a time, also when the controller that started it is gone."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_lock import operation, still_busy


def test_nobody_is_busy_where_nothing_ever_ran(tmp_path: Path) -> None:
    assert still_busy(0, str(tmp_path / "none" / "lock")) is False


def test_a_second_operation_is_refused_after_its_patience(tmp_path: Path) -> None:
    path = str(tmp_path / "new" / "lock")
    with operation(0, path):
        assert still_busy(0, path)
        with pytest.raises(RefusedError, match="still runs"), operation(0.3, path):
            pass
    assert not still_busy(0, path)


def test_it_waits_for_the_first_to_end(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    held = threading.Event()

    def first() -> None:
        with operation(0, path):
            held.set()
            time.sleep(0.5)

    thread = threading.Thread(target=first)
    thread.start()
    held.wait()
    began = time.monotonic()
    assert still_busy(10, path) is False
    assert time.monotonic() - began > 0.2
    with operation(0, path):
        pass
    thread.join()


def test_a_program_that_was_given_the_lock_holds_it_when_its_parent_is_gone(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with operation(0, path) as descriptor:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(descriptor,))
    assert still_busy(0.1, path)
    child.communicate(b"\n")
    assert not still_busy(0.1, path)
