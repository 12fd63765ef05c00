# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge of certificates: what was seen on all hosts becomes rows that warn or fail. Pure.

What is in order is no row. kubeadm renews a leaf for its whole length, whether its CA lives that long or not: so a
certificate ends here with its CA, and one whose CA ends first cannot be helped by renewal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .certificate_places import CA, KUBEADM, KUBECONFIG, KUBELET, LEAF, MEMORY, NOBODY, ON_ETCD
from .certificate_seen import (
    ABSENT,
    NO,
    NO_CERTIFICATE,
    OTHER,
    PRESENT,
    SILENT,
    Seen,
    moment,
)
from .verify import Row, names

WARN, FAIL = "warn", "fail"
DAY = 86400.0
# A CA is replaced by hand, host by host: that takes more notice than a leaf.
AUTHORITY_NOTICE = timedelta(days=365)
# Whoever trusts which CA: the same one under two names.
SAME_CA = {"haproxy-ca": "ca"}
REPLACE_CA = "replace the CA first, by kubeadm's guide on manual rotation: everything that it signed ends with it"
RENEWAL = {
    KUBEADM: "run renew_certificates",
    ON_ETCD: "make it on an etcd machine, where the CA's key is: run renew_certificates",
    KUBELET: "restart the kubelet, which renews it while it is valid; when it is not, let the node join again",
    NOBODY: "move it away, then kubeadm init phase kubeconfig, and restart who uses it",
}


@dataclass(frozen=True)
class Limits:
    """From how many days before its end a certificate warns and fails; `now` with a time zone."""

    now: datetime
    warn_days: float = 30
    fail_days: float = 7

    def days(self, one: Seen) -> tuple[float, float]:
        """Warn and fail. The kubelet renews before the last tenth, however short its certificates live."""
        if one.renewed_by != KUBELET:
            return self.warn_days, self.fail_days
        tenth = one.lifetime / DAY / 10
        return min(self.warn_days, tenth), min(self.fail_days, tenth / 2)

    def left(self, end: datetime) -> float:
        """Days."""
        return (end - self.now).total_seconds() / DAY


def judge(seen: Sequence[Seen], limits: Limits) -> list[Row]:
    """All rows of all hosts."""
    rows: list[Row] = []
    hosts: dict[str, list[Seen]] = {}
    for one in seen:
        hosts.setdefault(one.host, []).append(one)
    for host, mine in hosts.items():
        rows += _blank(host) if _is_blank(mine) else [row for one in mine for row in judge_one(one, mine, limits)]
    return [*rows, *judge_authorities(seen)]


def _is_blank(mine: Sequence[Seen]) -> bool:
    return all(one.state == ABSENT for one in mine if one.kind != MEMORY)


def _blank(host: str) -> list[Row]:
    return [Row("certificates", host, WARN, "there is none: nothing of a cluster is on it", "run site: it joins it")]


def judge_one(one: Seen, mine: Sequence[Seen], limits: Limits) -> list[Row]:
    """One certificate. mine: all of the same host."""
    checks = (_file(one), _dates(one, mine, limits), _signer(one), _names(one), _served(one), _key(one))
    return [Row(one.name, one.host, *told) for check in checks for told in check]


Told = tuple[str, str, str]


def _file(one: Seen) -> Iterator[Told]:
    step = REPLACE_CA if one.kind == CA else RENEWAL[one.renewed_by]
    if one.state == ABSENT:
        yield FAIL, f"{one.path} is absent", f"bring it from another host: {one.path}" if one.kind == CA else step
    elif one.state not in (PRESENT, MEMORY):
        yield FAIL, f"{one.path} is {one.state}: {one.found}", f"look at {one.path} on {one.host}; then {step}"
    elif one.kind == KUBECONFIG and not (one.dated or one.uses):
        yield WARN, f"{one.path} holds no client certificate", "nothing, when it authenticates otherwise"


def _dates(one: Seen, mine: Sequence[Seen], limits: Limits) -> Iterator[Told]:
    if not one.dated:
        return
    if moment(one.not_before) > limits.now:
        yield FAIL, f"is valid from {one.not_before} on", "set the clocks right: the host's and the controller's"
    yield from _authority_dates(one, mine, limits) if one.kind == CA else _leaf_dates(one, limits)


def _leaf_dates(one: Seen, limits: Limits) -> Iterator[Told]:
    left = limits.left(one.ends)
    warn, fail = limits.days(one)
    if left > warn:
        return
    by_ca = bool(one.signer_not_after) and moment(one.signer_not_after) <= moment(one.not_after) + timedelta(days=1)
    if by_ca:
        text = f"{_when(left)} with its CA {one.signer} on {one.signer_not_after}: renewal cannot help"
        yield FAIL, text, REPLACE_CA
    elif one.kind == MEMORY or not one.signer:
        # Nobody can verify it, so nobody does.
        yield WARN, f"{_when(left)} on {one.not_after}, and is signed by itself", _again(one)
    else:
        yield FAIL if left <= fail else WARN, f"{_when(left)} on {one.not_after}", RENEWAL[one.renewed_by]


def _again(one: Seen) -> str:
    if one.kind == MEMORY:
        return f"restart {names(one.restarts)}: it makes another"
    return f"delete {one.path} and {one.key_path} and restart the kubelet: it makes another"


def _authority_dates(one: Seen, mine: Sequence[Seen], limits: Limits) -> Iterator[Told]:
    left = limits.left(one.ends)
    signs = [leaf for leaf in mine if leaf.signer == one.name and leaf.dated]
    longest = max((leaf.lifetime for leaf in signs), default=0.0)
    cut = left * DAY < min(longest, AUTHORITY_NOTICE.total_seconds())
    if left <= limits.fail_days:
        yield FAIL, f"the CA {_when(left)} on {one.not_after}", REPLACE_CA
    elif left <= limits.warn_days or cut:
        text = f"the CA {_when(left)} on {one.not_after}"
        yield WARN, f"{text}, before what it signs now ({longest / DAY:.0f} days)" if cut else text, REPLACE_CA


def _when(left: float) -> str:
    """ended 3 days ago, ends in 12 days, ends in 5 hours."""
    size, unit = (abs(left), "days") if abs(left) >= 2 else (abs(left) * 24, "hours")
    return f"ended {size:.0f} {unit} ago" if left <= 0 else f"ends in {size:.0f} {unit}"


def _signer(one: Seen) -> Iterator[Told]:
    if one.signed == NO:
        whose = f"the CA {one.signer} of this host" if one.signer else "itself"
        step = f"look whose it is; when it is of this cluster, {RENEWAL[one.renewed_by]}"
        yield FAIL, f"was not signed by {whose}, it says {one.issuer}", step
    if one.trusts == NO:
        step = f"make it anew: kubeadm init phase kubeconfig, after {one.path} was moved away"
        yield FAIL, f"{one.path} trusts another CA than {one.signer}", step


def _names(one: Seen) -> Iterator[Told]:
    if one.lacks:
        step = f"move {one.path} and its key away and make it with these names: kubeadm init phase certs {one.name}"
        if one.renewed_by == KUBELET:
            step = f"move {one.path} away and restart the kubelet, which asks for another"
        yield FAIL, f"is not valid for {names(one.lacks)}", step


def _served(one: Seen) -> Iterator[Told]:
    port = f"port {one.served_port}"
    who = names(one.restarts)
    if one.served == OTHER:
        wait = ", if it does not take it by itself within a minute" if one.rereads else ""
        yield FAIL, f"{port} serves another one, serial {one.served_serial}, not the file's", f"restart {who}{wait}"
    elif one.served in (SILENT, NO_CERTIFICATE) and one.state in (PRESENT, MEMORY):
        found = "nobody listens" if one.served == SILENT else "no certificate is served"
        step = f"look at {who} on {one.host}: what is served could not be compared"
        yield WARN, f"{port}: {found} ({one.served_found})", step


def _key(one: Seen) -> Iterator[Told]:
    """A CA's key may well be elsewhere."""
    if one.key_mode and int(one.key_mode, 8) & ~int(one.key_mode_allowed, 8):
        step = f"chmod {one.key_mode_allowed} {one.key_path}, and ask who has read it"
        yield FAIL, f"{one.key_path} has the mode {one.key_mode}", step
    if one.state != PRESENT:
        return
    if one.key_state == ABSENT and one.kind == LEAF:
        yield FAIL, f"{one.key_path} is absent", RENEWAL[one.renewed_by]
    elif one.key_state == OTHER:
        yield FAIL, f"{one.key_path} is not its key", RENEWAL[one.renewed_by]
    elif one.key_state == "unusable":
        yield FAIL, f"{one.key_path} cannot be used: {one.key_found}", RENEWAL[one.renewed_by]


def judge_authorities(seen: Sequence[Seen]) -> list[Row]:
    """A CA is the same on all hosts. While it is rotated, bundles have one in common."""
    held: dict[str, list[Seen]] = {}
    for one in seen:
        if one.kind == CA and one.bundle:
            held.setdefault(SAME_CA.get(one.name, one.name), []).append(one)
    return [row for copies in held.values() for row in _strangers(copies)]


def _strangers(copies: Sequence[Seen]) -> Iterator[Row]:
    """Those that have nothing in common with what most have; of as many, with what stands first."""
    counted: Mapping[str, int] = Counter(print_ for one in copies for print_ in one.bundle)
    most = max(counted, key=lambda print_: counted[print_])
    hosts = list(dict.fromkeys(one.host for one in copies if most in one.bundle))
    for one in copies:
        if most not in one.bundle:
            found = f"{one.path} is another CA than that of {names(hosts)}"
            step = f"find out whose {one.host} is: nothing that the one signed is trusted by the other"
            yield Row(one.name, one.host, FAIL, found, step)
