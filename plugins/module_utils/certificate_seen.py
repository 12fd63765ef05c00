# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate as it was seen on a host: what certificate_info returns, and node_exporter's view of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from typing import Any

from .certificate_places import CA, MEMORY

FORM = "%Y-%m-%dT%H:%M:%SZ"
PRESENT, ABSENT, UNREADABLE, DAMAGED = "present", "absent", "unreadable", "damaged"
SAME, OTHER, SILENT, NO_CERTIFICATE, FROM_MEMORY = "same", "other", "not listening", "no certificate", "memory"
YES, NO, UNKNOWN = "yes", "no", "unknown"
# The metrics, and what they say.
NOT_AFTER = "quorum_kubeadm_certificate_not_after_seconds"
SERVED_IS_FILE = "quorum_kubeadm_certificate_served_is_file"
SOUND = "quorum_kubeadm_certificate_sound"
HELP = {
    NOT_AFTER: "When the certificate ends, in seconds since the epoch.",
    SERVED_IS_FILE: "Whether what is served at the port is what is in the file.",
    SOUND: "Whether the certificate is there, whole, signed by its CA, and its key its own.",
}


@dataclass(frozen=True)
class Seen:
    """One certificate of one host; certificate_info's documentation says what each field is."""

    host: str
    name: str
    kind: str
    path: str = ""
    uses: str = ""
    state: str = PRESENT
    found: str = ""
    subject: str = ""
    issuer: str = ""
    serial: str = ""
    not_before: str = ""
    not_after: str = ""
    seconds_left: int = 0
    sans: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    key_algorithm: str = ""
    key_size: int = 0
    sha256: str = ""
    bundle: tuple[str, ...] = ()
    signer: str = ""
    signed: str = ""
    signer_not_after: str = ""
    trusts: str = ""
    key_path: str = ""
    key_mode: str = ""
    key_state: str = ""
    key_found: str = ""
    key_mode_allowed: str = "0600"
    served: str = ""
    served_port: int = 0
    served_serial: str = ""
    served_found: str = ""
    renewed_by: str = ""
    restarts: tuple[str, ...] = ()
    rereads: bool = False

    @property
    def dated(self) -> bool:
        """Whether it could be read."""
        return bool(self.not_after)

    @property
    def ends(self) -> datetime:
        """When it is worth nothing any more: when it ends itself, or its CA does."""
        own = moment(self.not_after)
        return min(own, moment(self.signer_not_after)) if self.signer_not_after else own

    @property
    def lifetime(self) -> float:
        """For how many seconds it was made."""
        return (moment(self.not_after) - moment(self.not_before)).total_seconds()

    @property
    def sound(self) -> bool:
        """Everything but its dates."""
        key = self.key_state in ("own", "") or (self.kind == CA and self.key_state == ABSENT)
        there = self.state in (PRESENT, MEMORY) and (self.dated or bool(self.uses))
        return there and NO not in (self.signed, self.trusts) and key

    def result(self) -> dict[str, Any]:
        """As it is returned by modules."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def seen(told: Mapping[str, Any]) -> Seen:
    """A result of certificate_info, typed again."""
    known = {one.name for one in fields(Seen)}
    values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in told.items() if key in known}
    return Seen(**values)


def moment(text: str) -> datetime:
    """A time as it is written here."""
    return datetime.strptime(text, FORM).replace(tzinfo=timezone.utc)


@dataclass
class _Metric:
    name: str
    lines: list[str] = field(default_factory=list)

    def add(self, labels: Mapping[str, object], value: int) -> None:
        inner = ",".join(f'{key}="{_escaped(str(text))}"' for key, text in labels.items())
        self.lines.append(f"{self.name}{{{inner}}} {value}")

    def text(self) -> str:
        head = [f"# HELP {self.name} {HELP[self.name]}", f"# TYPE {self.name} gauge"]
        return "\n".join([*head, *self.lines, ""]) if self.lines else ""


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def metrics(certificates: Iterable[Seen]) -> str:
    """For node_exporter's textfile collector. Without the time of the look: what has not changed is the same text."""
    ends, served, sound = _Metric(NOT_AFTER), _Metric(SERVED_IS_FILE), _Metric(SOUND)
    for one in certificates:
        labels = {"name": one.name, "kind": one.kind, "path": one.path}
        if one.dated:
            ends.add(labels, int(moment(one.not_after).timestamp()))
        if one.served in (SAME, OTHER):
            served.add({**labels, "port": one.served_port}, int(one.served == SAME))
        if one.kind != MEMORY:
            sound.add(labels, int(one.sound))
    return ends.text() + served.text() + sound.text()
