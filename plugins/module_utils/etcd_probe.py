# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the members of an etcd cluster: through any endpoint that lives, each one itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .errors import ApiError, KubeadmError, UnreachableError
from .etcd_api import Answer, EtcdApi, member_id, number

Connect = Callable[[str], EtcdApi]
# Where Kubernetes keeps everything it has.
REGISTRY = "/registry/"


@dataclass(frozen=True)
class Probe:
    """What one member answered. `status` is None when it did not; `error` is "" when it answered everything."""

    endpoint: str = ""
    status: Answer | None = None
    reads: bool = False
    error: str = ""
    silent: tuple[str, ...] = ()

    def number(self, key: str) -> int | None:
        """A number of its status, None when it is not known."""
        return None if self.status is None else number(self.status.get(key))

    def lag(self, newest: int) -> int | None:
        """How many entries of the raft log it has still to apply, when `newest` is the newest one."""
        applied = self.number("raftAppliedIndex")
        return None if applied is None else max(newest - applied, 0)


@dataclass(frozen=True)
class Listed:
    """The members as an endpoint listed them; whether a majority stands behind it; who did not answer."""

    answer: Answer
    linearizable: bool = True
    silent: tuple[str, ...] = ()


def member_list(endpoints: Sequence[str], connect: Connect) -> Listed:
    """The first endpoint that a majority stands behind; without a majority, what any living one believes."""
    errors: dict[str, KubeadmError] = {}
    for endpoint in endpoints:
        try:
            return Listed(connect(endpoint).members(), silent=_silent(errors))
        except (ApiError, UnreachableError) as exc:
            errors[endpoint] = exc
    believed: Answer | None = None
    for endpoint in endpoints:
        try:
            answer = connect(endpoint).members(linearizable=False)
        except (ApiError, UnreachableError) as exc:
            errors[endpoint] = exc
        else:
            errors.pop(endpoint, None)
            believed = believed or answer
    if believed is not None:
        return Listed(believed, False, _silent(errors))
    raise UnreachableError(
        "No etcd endpoint answers",
        where=", ".join(endpoints),
        found="; ".join(f"{where}: {exc.found}" for where, exc in errors.items()),
        next_step="Look at the etcd members' logs; when most members are gone for good, only a restore helps",
    )


def _silent(errors: dict[str, KubeadmError]) -> tuple[str, ...]:
    return tuple(endpoint for endpoint, exc in errors.items() if isinstance(exc, UnreachableError))


def probe_all(answer: Answer, connect: Connect) -> dict[str, Probe]:
    """Member ID -> what it answered; all are asked at once."""
    listed = list(answer.get("members") or [])
    with ThreadPoolExecutor(max_workers=max(len(listed), 1)) as pool:
        answers = pool.map(lambda raw: _probe(raw, connect), listed)
        return {member_id(raw.get("ID")): probe for raw, probe in zip(listed, answers)}


def _probe(raw: Answer, connect: Connect) -> Probe:
    error = "never started: it has no client URL"
    silent: tuple[str, ...] = ()
    for url in raw.get("clientURLs") or []:
        api = connect(url)
        try:
            status = api.status()
        except (ApiError, UnreachableError) as exc:
            error = exc.found or exc.what
            silent = (*silent, url) if isinstance(exc, UnreachableError) else silent
            continue
        try:
            # A learner does not serve linearizable reads.
            api.read(linearizable=not raw.get("isLearner"))
        except (ApiError, UnreachableError) as exc:
            return Probe(url, status, error=exc.found or exc.what, silent=silent)
        return Probe(url, status, reads=True, silent=silent)
    return Probe(error=error, silent=silent)


def reading(probes: Mapping[str, Probe], connect: Connect) -> dict[str, EtcdApi]:
    """Member ID -> the members that can be asked more: what needs a majority would only hang at the others."""
    return {identity: connect(probe.endpoint) for identity, probe in probes.items() if probe.reads}


def alarms(apis: Iterable[EtcdApi]) -> list[tuple[str, str]] | None:
    """(member ID, alarm) for every alarm raised; None when nobody could say."""
    for api in apis:
        try:
            return api.alarms()
        except (ApiError, UnreachableError):
            continue
    return None


def empty(apis: Iterable[EtcdApi]) -> bool | None:
    """Whether no Kubernetes ever wrote here; None when nobody could say for a majority."""
    for api in apis:
        try:
            return api.empty(REGISTRY)
        except (ApiError, UnreachableError):
            continue
    return None
