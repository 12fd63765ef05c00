# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd on a copy of its data, alone: in a network of its own that has nobody in it, reached by a socket of root's.

For a survivor's data, which it applies its log to, and to find out whether what was restored is an etcd.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .errors import CommandError, InputError
from .etcd_api import EtcdApi
from .host_entries import check_path
from .host_io import Host
from .host_kubernetes import manifest_image
from .snapshot_file import HEAD, database_size
from .static_pod_host import KEPT, MANIFESTS

RUN = "/run/quorum-kubeadm/etcd-alone"
IMAGE = "/run/quorum-kubeadm/etcd-image"
# It ends with us, and no other member is there for it whatever the copy says.
ALONE = ("setpriv", "--pdeathsig", "KILL", "unshare", "--net")
NAME = "alone"
NOWHERE = "http://localhost:1"
# How a snapshot is restored that is then run alone.
RESTORED = (f"--name={NAME}", f"--initial-cluster={NAME}={NOWHERE}", f"--initial-advertise-peer-urls={NOWHERE}")
# As large as etcd allows: nothing is written to it.
QUOTA = 8 << 30
IN_IMAGE = "usr/local/bin/etcd"
PAUSE = 0.1
BLOCK = 1 << 20
CONTAINERD = "start containerd: systemctl start containerd; or say where etcd is with `etcd`"
ENDED = (0, -signal.SIGTERM)


class _Socket(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: str, timeout: float = 5.0) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _asked(path: str, method: str, target: str, body: bytes | None, timeout: float) -> tuple[int, bytes]:
    connection = _Socket(path, timeout)
    try:
        connection.request(method, target, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as exc:
        raise OSError(f"not an answer in HTTP: {exc!r}") from exc
    finally:
        connection.close()


def _answers(path: str) -> bool:
    """Whether it serves a read for which it has to have applied everything."""
    try:
        return _asked(path, "GET", "/health", None, 5.0)[0] == 200
    except OSError:
        return False


def _api(path: str, seconds: float) -> EtcdApi:
    """The gateway behind a socket."""

    def post(url: str, body: bytes, timeout: float) -> tuple[int, bytes]:
        return _asked(path, "POST", url[len(NOWHERE) :], body, timeout)

    return EtcdApi(NOWHERE, post, seconds)


def _wait(process: subprocess.Popen[str], path: str, seconds: float, log: str, next_step: str) -> None:
    deadline = time.monotonic() + seconds
    while not _answers(path):
        if process.poll() is not None or time.monotonic() > deadline:
            ended = process.poll()
            said = f"it ended with status {ended}" if ended is not None else f"it is not ready after {seconds:.0f} s"
            raise CommandError(
                "etcd does not come up on the copy of the data",
                where=log,
                found=f"{said}; {_tail(log)}",
                next_step=next_step,
            )
        time.sleep(PAUSE)


def _tail(log: str) -> str:
    with contextlib.suppress(OSError), open(log, encoding="utf-8", errors="replace") as stream:
        return "\n".join(line[:400] for line in stream.read().splitlines()[-5:])
    return "no log"


@contextlib.contextmanager
def running(
    host: Host, program: str, data_dir: str, seconds: float, *more: str, next_step: str = "run it again"
) -> Iterator[EtcdApi]:
    """etcd on this data, which it may change, for as long as it is needed; afterwards its database is closed."""
    shutil.rmtree(RUN, ignore_errors=True)
    os.makedirs(RUN, mode=0o700)
    log, listens = f"{data_dir}/etcd.log", f"{RUN}/client"
    flags = {
        "name": NAME,
        "data-dir": data_dir,
        "listen-client-urls": f"unix://{listens}",
        "advertise-client-urls": NOWHERE,
        "listen-peer-urls": f"unix://{RUN}/peer",
        "initial-advertise-peer-urls": NOWHERE,
        "initial-cluster": f"{NAME}={NOWHERE}",
        "quota-backend-bytes": QUOTA,
        "log-outputs": log,
        "log-level": "warn",
    }
    argv = [*ALONE, program, *more, *(f"--{name}={value}" for name, value in flags.items())]
    process = host.start(argv)
    if process is None:
        raise InputError("there is no setpriv", where=argv[0], next_step="install util-linux")
    try:
        _wait(process, listens, seconds, log, next_step)
        yield _api(listens, seconds)
        process.terminate()
        answer = host.finish(process, seconds)
        if answer.code not in ENDED:
            raise CommandError("etcd did not close the copy", where=log, found=_tail(log), next_step=next_step)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(RUN, ignore_errors=True)


def settle(host: Host, program: str, data_dir: str, seconds: float) -> None:
    """Until everything in the log is applied to the database, and the database is closed."""
    next_step = "recover from another survivor, or from a snapshot: -e snapshot=PATH"
    with running(host, program, data_dir, seconds, "--force-new-cluster", next_step=next_step):
        pass


def sealed(database: str) -> Iterator[bytes]:
    """A snapshot as etcd sends it, of a database that is closed: its pages, then their SHA-256."""
    with open(database, "rb") as stream:
        left = database_size(stream.read(HEAD)) or 0
        stream.seek(0)
        checksum = hashlib.sha256()
        while left and (block := stream.read(min(BLOCK, left))):
            checksum.update(block)
            left -= len(block)
            yield block
    yield checksum.digest()


def image_of(host: Host, path: str) -> str:
    """Where etcd comes from on this host: "" for its own program, else the image of its static pod."""
    if host.which(path):
        return ""
    texts = [host.read_text(f"{place}/etcd.yaml") for place in (MANIFESTS, KEPT)]
    image = next((found for text in texts if text and (found := manifest_image(text))), "")
    if not image:
        raise InputError(
            "there is no etcd on this host",
            where=path,
            found=f"neither that program nor a manifest etcd.yaml in {MANIFESTS} or {KEPT}",
            next_step="say where etcd is with `etcd`; it must have the version of the data",
        )
    return image


@contextlib.contextmanager
def program(host: Host, path: str, ctr: str, folder: str) -> Iterator[str]:
    """etcd's program: the host's own, or the one in the image of its static pod, for as long as it is needed."""
    image = image_of(host, path)
    if not image:
        yield path
        return
    base = [ctr, "-n", "k8s.io", "images"]
    # What a killed run has left mounted would stay below what is mounted now.
    host.run([*base, "unmount", "--rm", IMAGE])
    os.makedirs(IMAGE, mode=0o700, exist_ok=True)
    answer = host.run([*base, "mount", image, IMAGE])
    try:
        if answer.code:
            found = f"exit status {answer.code}: {answer.text[-500:]}"
            raise CommandError("the image of etcd cannot be opened", where=image, found=found, next_step=CONTAINERD)
        shutil.copyfile(f"{IMAGE}/{IN_IMAGE}", f"{folder}/etcd")
    finally:
        host.run([*base, "unmount", "--rm", IMAGE])
    os.chmod(f"{folder}/etcd", 0o700)
    yield f"{folder}/etcd"


def starter(host: Host, params: Mapping[str, Any]) -> Callable[[str, str], contextlib.AbstractContextManager[EtcdApi]]:
    """A folder to work in, a data directory -> etcd on it. Refuses at once where there is no etcd.

    params: where etcd and containerd's client are, and how long each step may take.
    """
    image_of(host, check_path(params["etcd"]))

    @contextlib.contextmanager
    def start(folder: str, data_dir: str) -> Iterator[EtcdApi]:
        seconds = params["wait_seconds"]
        next_step = "take another snapshot; look at this host's memory and disk"
        with (
            program(host, params["etcd"], check_path(params["ctr"]), folder) as path,
            running(host, path, data_dir, seconds, next_step=next_step) as api,
        ):
            yield api

    return start
