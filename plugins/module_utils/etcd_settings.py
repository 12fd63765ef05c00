# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd's constant configuration as environment variables: nothing about other members, so growing rewrites nothing.

Pure. Values are looked at here because they depend on each other, and a member with wrong ones does not come back.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .errors import InputError

PKI = "/etc/kubernetes/pki/etcd"
DATA_DIR = "/var/lib/etcd"
CLIENT_PORT, PEER_PORT = 2379, 2380
# Milliseconds: heartbeat and election timeout.
PROFILES = {"default": (100, 1000), "high_latency": (500, 2500)}
# etcd itself refuses less than five heartbeats and more than 50 s.
HEARTBEATS, LONGEST_ELECTION = 5, 50_000
# etcd warns above: it would need as much memory, and minutes to defragment or to send to a new member.
LARGEST_QUOTA = 8192
MODES = ("periodic", "revision")
RETENTION = re.compile(r"\d{1,9}[hms]?", re.ASCII)
REVISIONS = re.compile(r"\d{1,9}", re.ASCII)
METRICS = "ETCD_LISTEN_METRICS_URLS"
METRICS_URL = re.compile(r"https?://(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):\d{1,5}", re.ASCII)
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,80}", re.ASCII)
# What would make the member begin a cluster of its own, or find one elsewhere.
FORBIDDEN = ("ETCD_INITIAL_", "ETCD_DISCOVERY", "ETCD_FORCE_NEW_CLUSTER", "ETCD_UNSAFE_", "ETCD_CONFIG_FILE")
# As kubeadm sets them for stacked etcd: a damaged member does not start, the watches of API servers stay fresh. These
# are what etcd_extra_env may replace.
RECOMMENDED = {
    "ETCD_FEATURE_GATES": "InitialCorruptCheck=true",
    "ETCD_WATCH_PROGRESS_NOTIFY_INTERVAL": "5s",
    "ETCD_SNAPSHOT_COUNT": "10000",
    "ETCD_TLS_MIN_VERSION": "TLS1.2",
}


@dataclass(frozen=True)
class EtcdInputs:
    """The role's variables. heartbeat_ms, election_ms: 0 takes the profile's. quota_mib: of the database."""

    name: str
    address: str
    profile: str = "default"
    heartbeat_ms: int = 0
    election_ms: int = 0
    quota_mib: int = 2048
    compaction_mode: str = "periodic"
    compaction_retention: str = "0"
    metrics_urls: list[str] = field(default_factory=list)
    extra_env: Mapping[str, Any] = field(default_factory=dict)


def etcd_inputs(values: Mapping[str, Any]) -> EtcdInputs:
    """Parse plain values; the digits of `-e name=5` are text and count as a number."""
    known = {item.name: item.type for item in fields(EtcdInputs)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InputError("unknown inputs for etcd", found=", ".join(unknown), next_step=f"use {', '.join(known)}")
    try:
        parsed: dict[str, Any] = {n: int(value) if known[n] == "int" else value for n, value in values.items()}
        return EtcdInputs(**parsed)
    except (TypeError, ValueError) as exc:
        raise InputError("inputs for etcd are missing or no numbers", found=str(exc), next_step="set them") from exc


def timing(inputs: EtcdInputs) -> tuple[int, int]:
    """Heartbeat and election timeout, in milliseconds."""
    heartbeat, election = PROFILES[inputs.profile]
    return inputs.heartbeat_ms or heartbeat, inputs.election_ms or election


def problems(inputs: EtcdInputs) -> list[str]:
    """What is wrong with the values, all of it."""
    if inputs.profile not in PROFILES:
        return [f"etcd_profile is {inputs.profile!r}, not one of {', '.join(PROFILES)}"]
    heartbeat, election = timing(inputs)
    retention = REVISIONS if inputs.compaction_mode == "revision" else RETENTION
    bad_urls = [url for url in inputs.metrics_urls if not METRICS_URL.fullmatch(str(url))]
    checks = (
        (heartbeat < 10, f"a heartbeat of {heartbeat} ms is too short, 10 ms is the least"),
        (election < HEARTBEATS * heartbeat,
         f"an election timeout of {election} ms is less than {HEARTBEATS} heartbeats of {heartbeat} ms"),
        (election > LONGEST_ELECTION, f"an election timeout of {election} ms is above {LONGEST_ELECTION} ms"),
        (not 64 <= inputs.quota_mib <= LARGEST_QUOTA,
         f"a quota of {inputs.quota_mib} MiB is not between 64 and {LARGEST_QUOTA}"),
        (inputs.compaction_mode not in MODES, f"etcd_compaction_mode is not one of {', '.join(MODES)}"),
        (not retention.fullmatch(str(inputs.compaction_retention)),
         f"etcd_compaction_retention {str(inputs.compaction_retention)[:40]!r} is none of the mode "
         f"{inputs.compaction_mode}: like 8h, or a number of revisions"),
        (bool(bad_urls), f"no URLs to listen on: {', '.join(map(str, bad_urls))[:200]}"),
    )  # fmt: skip
    return [text for wrong, text in checks if wrong] + _extra_problems(inputs.extra_env)


def _extra_problems(extra: Mapping[str, Any]) -> list[str]:
    own = _constant(EtcdInputs("name", "192.0.2.1"))
    wrong = []
    for name, value in extra.items():
        if not VARIABLE.fullmatch(str(name)) or "\n" in str(value) or "\0" in str(value):
            wrong.append(f"etcd_extra_env: {str(name)[:80]!r} is no variable of one line")
        elif name in own or name == METRICS or name.startswith(FORBIDDEN):
            wrong.append(f"etcd_extra_env: {name} belongs to the role")
    return wrong


def environment(inputs: EtcdInputs) -> dict[str, str]:
    """Variable to value. Raises InputError that names everything that is wrong."""
    found = problems(inputs)
    if found:
        raise InputError(
            "etcd cannot be configured like this",
            where=inputs.name,
            found="; ".join(found),
            next_step="correct the variables of role etcd",
        )
    extra = {str(name): _text(value) for name, value in inputs.extra_env.items()}
    return {**RECOMMENDED, **extra, **_constant(inputs)}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def url(address: str, port: int) -> str:
    """Where etcd listens on a host."""
    return f"https://[{address}]:{port}" if _is_ipv6(address) else f"https://{address}:{port}"


def _constant(inputs: EtcdInputs) -> dict[str, str]:
    client, peer = url(inputs.address, CLIENT_PORT), url(inputs.address, PEER_PORT)
    heartbeat, election = timing(inputs)
    values = {
        "ETCD_NAME": inputs.name,
        "ETCD_DATA_DIR": DATA_DIR,
        # A member whose data is lost finds no cluster of its own, and never makes one.
        "ETCD_INITIAL_CLUSTER_STATE": "existing",
        "ETCD_INITIAL_ADVERTISE_PEER_URLS": peer,
        "ETCD_LISTEN_PEER_URLS": peer,
        "ETCD_ADVERTISE_CLIENT_URLS": client,
        "ETCD_LISTEN_CLIENT_URLS": f"{client},https://127.0.0.1:{CLIENT_PORT}",
        "ETCD_CERT_FILE": f"{PKI}/server.crt",
        "ETCD_KEY_FILE": f"{PKI}/server.key",
        "ETCD_TRUSTED_CA_FILE": f"{PKI}/ca.crt",
        "ETCD_CLIENT_CERT_AUTH": "true",
        "ETCD_PEER_CERT_FILE": f"{PKI}/peer.crt",
        "ETCD_PEER_KEY_FILE": f"{PKI}/peer.key",
        "ETCD_PEER_TRUSTED_CA_FILE": f"{PKI}/ca.crt",
        "ETCD_PEER_CLIENT_CERT_AUTH": "true",
        "ETCD_HEARTBEAT_INTERVAL": str(heartbeat),
        "ETCD_ELECTION_TIMEOUT": str(election),
        "ETCD_QUOTA_BACKEND_BYTES": str(inputs.quota_mib << 20),
        "ETCD_AUTO_COMPACTION_MODE": inputs.compaction_mode,
        "ETCD_AUTO_COMPACTION_RETENTION": str(inputs.compaction_retention),
        METRICS: ",".join(inputs.metrics_urls),
    }
    return {name: value for name, value in values.items() if value}


def _is_ipv6(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).version == 6
    except ValueError:
        return False


def env_file(values: Mapping[str, str]) -> str:
    """A file that systemd reads as an environment; in its quotes four characters are special, as in a shell's."""
    quoted = ((name, re.sub(r'([\\"$`])', r"\\\1", value)) for name, value in sorted(values.items()))
    return "# Kept by quorum.kubeadm.\n" + "".join(f'{name}="{value}"\n' for name, value in quoted)
