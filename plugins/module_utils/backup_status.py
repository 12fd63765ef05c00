# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a host's backups are: what it keeps of its last run, rows for verify, metrics for node_exporter. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .backup_plan import Last
from .verify import Row

# Below Config.state_dir.
FILE = "etcd-backup.json"
# AHEAD: the timer is there, and has not run yet.
TAKEN, SKIPPED, FAILED, AHEAD = "taken", "fresh", "failed", "ahead"
PREFIX = "quorum_kubeadm_etcd_backup"
METRICS = "quorum_kubeadm_etcd_backup.prom"
LOGS = "journalctl -u quorum-kubeadm-etcd-backup on {host}; take one now: ansible-playbook quorum.kubeadm.backup_etcd"


@dataclass(frozen=True)
class Copy:
    """One destination in the newest run that took a backup; error is empty when it was read back and is the same."""

    name: str
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Taken:
    """The newest backup that this host has taken. at: seconds since the epoch."""

    name: str
    at: float
    revision: int
    size: int
    seconds: float
    verified: str
    copies: tuple[Copy, ...] = ()


@dataclass(frozen=True)
class Status:
    """What a host has written down at the end of its last run. newest: of all hosts, as etcd said."""

    host: str
    cluster: str
    kind: str
    at: float
    result: str
    error: str = ""
    newest: Last | None = None
    taken: Taken | None = None
    old_after: float = 0.0
    since: float = field(default=0.0)

    def text(self) -> str:
        """As it is kept on the host."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @property
    def newest_at(self) -> float:
        """When the newest backup was taken that this host knows of; 0 for none."""
        return max(self.newest.at if self.newest else 0.0, self.taken.at if self.taken else 0.0)


def parse_status(text: str | None) -> Status | None:
    """None for what is not there or damaged."""
    try:
        raw = dict(json.loads(text or ""))
        if raw.get("newest"):
            raw["newest"] = Last(**raw["newest"])
        if raw.get("taken"):
            copies = tuple(Copy(**copy) for copy in raw["taken"].pop("copies"))
            raw["taken"] = Taken(**raw["taken"], copies=copies)
        return Status(**raw)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def next_status(before: Status | None, now: Status) -> Status:
    """What is kept: of a run that took nothing, what an earlier one took."""
    if before is None or (before.cluster, before.kind) != (now.cluster, now.kind):
        return replace(now, since=now.at)
    return replace(
        now, since=before.since or now.at, taken=now.taken or before.taken, newest=now.newest or before.newest
    )


def ago(seconds: float) -> str:
    """For a person."""
    minutes = max(seconds, 0) / 60
    return (
        f"{minutes:.0f} min"
        if minutes < 120
        else f"{minutes / 60:.0f} h"
        if minutes < 2880
        else f"{minutes / 1440:.0f} days"
    )


def judge(seen: Mapping[str, Mapping[str, Any]], now: float) -> list[Row]:
    """Rows of verify. seen: by host, the registered results of etcd_backup with `state: seen`, also failed ones."""
    rows: list[Row] = []
    statuses: dict[str, Status] = {}
    for host, result in seen.items():
        status = parse_status(json.dumps(result.get("status")))
        if status is None:
            found = str(result.get("msg") or "this host has never run one")
            rows.append(Row("backups", host, "fail", found, f"systemctl list-timers on {host}; run backup_etcd"))
        else:
            statuses[host] = status
            rows += _host_rows(host, status, now)
    for kind in sorted({status.kind for status in statuses.values()}):
        rows += _newest_rows([status for status in statuses.values() if status.kind == kind], now)
    return rows


def _host_rows(host: str, status: Status, now: float) -> list[Row]:
    step = LOGS.format(host=host)
    if status.result == FAILED:
        return [Row("backups", host, "fail", f"failed {ago(now - status.at)} ago: {status.error}", step)]
    if now - status.at > status.old_after:
        return [Row("backups", host, "fail", f"its timer has not run for {ago(now - status.at)}", step)]
    return []


def _newest_rows(statuses: Sequence[Status], now: float) -> list[Row]:
    """About the newest backup, of whichever host; each control plane's own PKI with an external etcd."""
    if statuses[0].kind == "pki":
        return [row for status in statuses for row in _one_newest([status], status.host, now)]
    return _one_newest(statuses, "newest", now)


def _one_newest(statuses: Sequence[Status], subject: str, now: float) -> list[Row]:
    last = max(statuses, key=lambda status: status.newest_at)
    if not last.newest_at and all(now - status.since < status.old_after for status in statuses):
        step = "wait for the timer, or: ansible-playbook quorum.kubeadm.backup_etcd"
        return [Row("backups", subject, "warn", "none yet, the timer is new", step)]
    if not last.newest_at:
        return [Row("backups", subject, "fail", "none was ever taken", "ansible-playbook quorum.kubeadm.backup_etcd")]
    taken = [status.taken for status in statuses if status.taken and status.taken.at == last.newest_at]
    text = f"{ago(now - last.newest_at)} old"
    if now - last.newest_at > last.old_after:
        return [Row("backups", subject, "fail", text, "ansible-playbook quorum.kubeadm.backup_etcd")]
    if not taken:
        return [Row("backups", subject, "ok", f"{text}, by {last.newest.by if last.newest else 'another host'}")]
    rows = [
        Row("backups", copy.name, "fail", f"no good copy of {taken[0].name}: {copy.error}", "see docs/backups.md")
        for copy in taken[0].copies
        if copy.error
    ]
    good = sum(not copy.error for copy in taken[0].copies)
    said = f"{text}, {taken[0].name}, verified by {taken[0].verified}, {good} copies elsewhere"
    if not good:
        step = "give etcd_backup_destinations, or more than one etcd host"
        rows.append(Row("backups", subject, "fail" if rows else "warn", f"{said}: it is lost with its host", step))
    return rows or [Row("backups", subject, "ok", said)]


def _label(text: str) -> str:
    return re.sub(r'["\\\n]', "_", text)


def metrics(status: Status) -> str:
    """For node_exporter's textfile collector. A timestamp, not an age: that goes on growing when nobody writes it."""
    of = f'cluster="{_label(status.cluster)}",kind="{status.kind}"'
    lines = [
        *_metric("last_run_timestamp_seconds", "When this host last ran, whatever came of it.", {of: status.at}),
        *_metric("last_run_failed", "Whether that run failed.", {of: float(status.result == FAILED)}),
        *_metric(
            "newest_timestamp_seconds", "When the newest backup of the cluster was taken.", {of: status.newest_at}
        ),
        *_metric("old_after_seconds", "From which age on it is too old.", {of: status.old_after}),
    ]
    if status.taken:
        taken = status.taken
        lines += [
            *_metric("taken_timestamp_seconds", "When this host last took one.", {of: taken.at}),
            *_metric("taken_size_bytes", "Size of its snapshot.", {of: float(taken.size)}),
            *_metric("taken_duration_seconds", "How long that took, copies included.", {of: taken.seconds}),
        ]
        told = {f'{of},destination="{_label(copy.name)}"': float(bool(copy.error)) for copy in taken.copies}
        lines += _metric("copy_failed", "Whether its copy there is missing or is not the same.", told) if told else []
    return "\n".join(lines) + "\n"


def _metric(name: str, text: str, values: Mapping[str, float]) -> list[str]:
    full = f"{PREFIX}_{name}"
    samples = [f"{full}{{{labels}}} {value:.15g}" for labels, value in values.items()]
    return [f"# HELP {full} {text}", f"# TYPE {full} gauge", *samples]
