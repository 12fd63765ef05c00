# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places where copies of a backup are: written, read back and compared there, and only then called by their names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .backup_config import Config, Destination
from .errors import CommandError, InputError, RefusedError
from .host_io import Host, Result

BLOCK = 1 << 20
PART = ".part-"
SFTP = "/usr/bin/sftp"
CONNECT = {
    "BatchMode": "yes", "StrictHostKeyChecking": "yes", "GlobalKnownHostsFile": "/dev/null", "IdentitiesOnly": "yes",
    "HostKeyAlias": "destination", "ConnectTimeout": "15", "ServerAliveInterval": "15", "ServerAliveCountMax": "4",
    "UpdateHostKeys": "no",
}  # fmt: skip
NO_DIRECTORY = 3


def differs(where: str, name: str, found: str, want: str) -> CommandError:
    """What was read back is not what was written."""
    return CommandError(
        "a copy that was read back is not what was written",
        where=f"{where}: {name}",
        found=f"SHA-256 {found}, not {want}",
        next_step="look at that place's disk; the next run copies again",
    )


def private_file(path: str, content: bytes) -> str:
    """A file that only root reads, from the beginning on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    return path


def sha256_of(path: str) -> str:
    """From the disk, not from what the kernel still has in memory."""
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


class Place:
    """A destination. A failure is a KubeadmError that names it."""

    def __init__(self, told: Destination) -> None:
        self.told = told

    def store(self, path: str, name: str, sha256: str) -> None:
        """Write a file, read it back, compare, and give it its name."""
        raise NotImplementedError

    def names(self) -> list[str]:
        """The files that are there."""
        raise NotImplementedError

    def remove(self, names: Sequence[str]) -> None:
        """Delete these files."""
        raise NotImplementedError


class DirectoryPlace(Place):
    """A directory, as a rule of a file system that is mounted."""

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            next_step = "mount it; look at its free space and its file system"
            raise CommandError("cannot write there", where=self.told.path, found=str(exc), next_step=next_step) from exc

    def _require_mount(self) -> None:
        path = self.told.path
        while self.told.mounted and not os.path.ismount(path):
            path = os.path.dirname(path)
            if path == "/":
                raise RefusedError(
                    "nothing is mounted there: the copy would be on the host's own disk",
                    where=self.told.path,
                    found="neither it nor a directory above it is a mount point",
                    next_step="mount it, or set `mounted: false` for this destination",
                )

    def store(self, path: str, name: str, sha256: str) -> None:
        """See the base class."""
        self._require_mount()
        part = os.path.join(self.told.path, PART + name)
        with self._disk():
            os.makedirs(self.told.path, mode=0o700, exist_ok=True)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as target, open(path, "rb") as source:
                while block := source.read(BLOCK):
                    target.write(block)
                target.flush()
                os.fsync(target.fileno())
            found = sha256_of(part)
            if found != sha256:
                raise differs(self.told.path, name, found, sha256)
            os.rename(part, os.path.join(self.told.path, name))

    def names(self) -> list[str]:
        """See the base class."""
        with self._disk():
            return sorted(os.listdir(self.told.path))

    def remove(self, names: Sequence[str]) -> None:
        """See the base class."""
        with self._disk():
            for name in names:
                os.unlink(os.path.join(self.told.path, name))


def quoted(path: str) -> str:
    """A path in sftp's batch language."""
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


class SftpPlace(Place):
    """A machine that is reached by SSH and needs nothing but SFTP; the account may be held to that."""

    def __init__(self, told: Destination, host: Host, work: str, seconds: float) -> None:
        super().__init__(told)
        self._host, self._work, self._seconds = host, work, seconds
        key = private_file(os.path.join(work, "key"), (told.key.strip() + "\n").encode())
        known = "".join(f"{CONNECT['HostKeyAlias']} {line}\n" for line in told.host_keys)
        options = {**CONNECT, "UserKnownHostsFile": private_file(os.path.join(work, "known_hosts"), known.encode())}
        self._argv = [SFTP, "-F", "none", "-P", str(told.port), "-i", key]
        self._argv += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]

    def _ask(self, lines: Sequence[str]) -> str:
        batch = private_file(os.path.join(self._work, "batch"), "".join(f"{line}\n" for line in lines).encode())
        machine = f"[{self.told.host}]" if ":" in self.told.host else self.told.host
        answer = self._host.run([*self._argv, "-b", batch, f"{self.told.user}@{machine}"], self._seconds)
        if answer.code:
            raise CommandError(
                "the machine does not take the copy",
                where=f"{self.told.user}@{self.told.host}:{self.told.port}",
                found=f"exit status {answer.code}: {answer.text[-500:]}",
                next_step="look at that machine's sshd and disk",
            )
        return answer.out

    def _there(self, name: str = "") -> str:
        return quoted(f"{self.told.path}/{name}".rstrip("/") if self.told.path else name or ".")

    def store(self, path: str, name: str, sha256: str) -> None:
        """See the base class."""
        part, back = self._there(PART + name), os.path.join(self._work, "back")
        folder = [f"-mkdir {self._there()}"] if self.told.path else []
        self._ask([*folder, f"put -p {quoted(path)} {part}", f"get {part} {quoted(back)}"])
        found = sha256_of(back)
        os.unlink(back)
        if found != sha256:
            raise differs(self.told.host, name, found, sha256)
        self._ask([f"-rm {self._there(name)}", f"rename {part} {self._there(name)}"])

    def names(self) -> list[str]:
        """See the base class."""
        lines = self._ask([f"ls -1a {self._there()}"]).splitlines()
        return sorted(
            {os.path.basename(line.strip()) for line in lines if not line.startswith("sftp>")} - {".", "..", ""}
        )

    def remove(self, names: Sequence[str]) -> None:
        """See the base class."""
        if names:
            self._ask([f"rm {self._there(name)}" for name in names])


class S3Place(Place):
    """An S3-compatible store, through rclone."""

    def __init__(self, told: Destination, host: Host, work: str, config: Config) -> None:
        super().__init__(told)
        if not host.which(config.rclone):
            raise InputError("there is no rclone", where=config.rclone, next_step="install the package rclone")
        self._host, self._seconds = host, float(config.wait_seconds)
        told_options = {
            "type": "s3", "provider": told.provider, "access_key_id": told.access_key,
            "secret_access_key": told.secret_key, "endpoint": told.endpoint, "region": told.region,
            # The account may be one that can write objects and create no bucket.
            "no_check_bucket": "true", **told.options,
        }  # fmt: skip
        lines = ["[store]", *(f"{name} = {value}" for name, value in told_options.items() if value)]
        path = private_file(os.path.join(work, "rclone.conf"), ("\n".join(lines) + "\n").encode())
        # The timer's environment and an administrator's are the same to it: variables would lead it elsewhere.
        clean = ["/usr/bin/env", "-i", f"HOME={work}"]
        self._argv = [
            *clean,
            config.rclone,
            "--config",
            path,
            "--retries",
            "3",
            "--contimeout",
            "15s",
            "--timeout",
            "60s",
        ]

    def _there(self, name: str = "") -> str:
        return "store:" + "/".join(part for part in (self.told.bucket, self.told.path.strip("/"), name) if part)

    def _ask(self, *words: str, good: Sequence[int] = (0,)) -> Result:
        answer = self._host.run([*self._argv, *words], self._seconds)
        if answer.code not in good:
            raise CommandError(
                "the object store does not take the copy",
                where=f"{self.told.endpoint or self.told.provider}: {self._there()}",
                found=f"exit status {answer.code}: {answer.text[-500:]}",
                next_step="look at the store, its bucket, and at the account's rights",
            )
        return answer

    def store(self, path: str, name: str, sha256: str) -> None:
        """See the base class."""
        self._ask("copyto", path, self._there(name))
        # Downloaded: a store's own checksum says nothing about what it gives back.
        found = self._ask("hashsum", "sha256", "--download", self._there(name)).out.split(" ")[0].strip()
        if found != sha256:
            self._ask("deletefile", self._there(name))
            raise differs(self._there(), name, found or "of nothing", sha256)

    def names(self) -> list[str]:
        """See the base class."""
        return sorted(self._ask("lsf", "--files-only", self._there(), good=(0, NO_DIRECTORY)).out.splitlines())

    def remove(self, names: Sequence[str]) -> None:
        """See the base class."""
        for name in names:
            self._ask("deletefile", self._there(name))


def place_of(told: Destination, host: Host, work: str, config: Config) -> Place:
    """work: a directory that nobody else reads; keys and passwords are in it while they are needed."""
    if told.type == "directory":
        return DirectoryPlace(told)
    folder = os.path.join(work, f"copy-{os.urandom(4).hex()}")
    os.mkdir(folder, 0o700)
    if told.type == "ssh":
        return SftpPlace(told, host, folder, float(config.wait_seconds))
    return S3Place(told, host, folder, config)
