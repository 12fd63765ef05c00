"""Certificates as they would be seen on a cluster in order, for tests to spoil one thing at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_places import (
    CA,
    KUBECONFIG,
    MEMORY,
    Place,
    places,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_seen import FORM, FROM_MEMORY, SAME, Seen

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=timezone.utc)
YEAR, DECADE = timedelta(days=365), timedelta(days=3650)
STACKED = ("control_plane", "etcd")


def at(days: float) -> str:
    """So many days from now."""
    return (NOW + timedelta(days=days)).strftime(FORM)


def one(host: str, place: Place) -> Seen:
    """In order: a CA of ten years and a leaf of one, both a hundred days old."""
    own = place.kind != CA
    return Seen(
        host=host,
        name=place.name,
        kind=place.kind,
        path=place.path,
        state="memory" if place.kind == MEMORY else "present",
        issuer=f"CN={place.signer or place.name}",
        serial="4d2",
        not_before=at(-100),
        not_after=at(265 if own else 3550),
        sha256=f"{host}-{place.name}",
        bundle=() if own else (f"{place.name.replace('haproxy-', '')}-print",),
        signer=place.signer,
        signed="yes" if own and place.kind != MEMORY else "",
        signer_not_after=at(3550) if place.signer else "",
        trusts="yes" if place.kind == KUBECONFIG else "",
        key_path=place.key,
        key_mode="" if place.kind == MEMORY else "0600",
        key_state="" if place.kind in (KUBECONFIG, MEMORY) else "own",
        key_mode_allowed=f"{place.key_mode:04o}",
        served=(FROM_MEMORY if place.kind == MEMORY else SAME) if place.port else "",
        served_port=place.port,
        served_serial="4d2" if place.port else "",
        renewed_by=place.renewed_by,
        restarts=place.restarts,
        rereads=place.rereads,
    )


def host(name: str, *roles: str) -> list[Seen]:
    """All of one host; the kubelet's serving certificate is the one that it signs itself."""
    return [one(name, place) for place in places(roles or STACKED) if place.name != "kubelet-serving"]


def cluster() -> list[Seen]:
    """Two control planes, a worker, a load balancer."""
    return [*host("cp1"), *host("cp2"), *host("w1", "worker"), *host("lb1", "load_balancer")]


def spoil(seen: Iterable[Seen], on: str, name: str, **changes: Any) -> list[Seen]:
    """The same with one certificate changed."""
    listed = list(seen)
    assert sum((entry.host, entry.name) == (on, name) for entry in listed) == 1
    return [replace(entry, **changes) if (entry.host, entry.name) == (on, name) else entry for entry in listed]
