# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels and taints of nodes: what is there and what is wanted in, a patch out. Touches only what it set itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import InputError

# Remembers, on the node, which labels and taints are ours.
ANNOTATION = "quorum.kubeadm/managed"
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")

_PART = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_DOMAIN = r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?"
_KEY = re.compile(rf"(?:{_DOMAIN}/)?{_PART}")
_VALUE = re.compile(rf"(?:{_PART})?")

# Key and effect: what tells two taints apart.
TaintId = tuple[str, str]


@dataclass(frozen=True)
class Want:
    """The labels and taints that a node shall have from us."""

    labels: Mapping[str, str]
    taints: Mapping[TaintId, str]


@dataclass(frozen=True)
class Managed:
    """What we set on a node earlier."""

    labels: frozenset[str] = frozenset()
    taints: frozenset[TaintId] = frozenset()


def want(node: str, raw: Any) -> Want:
    """Check what the inventory says about one node."""
    where = f"node {node}"
    if not isinstance(raw, Mapping) or set(raw) - {"labels", "taints"}:
        raise InputError("A node takes labels and taints", where=where, found=str(raw)[:200])
    labels, taints = raw.get("labels"), raw.get("taints")
    labels, taints = {} if labels is None else labels, [] if taints is None else taints
    if not isinstance(labels, Mapping) or not isinstance(taints, list):
        raise InputError("Labels are a mapping and taints a list", where=where, found=str(raw)[:200])
    return Want(
        {
            _valid(_KEY, key, "label key", where): _valid(_VALUE, value, "label value", where)
            for key, value in labels.items()
        },
        dict(_taint(taint, where) for taint in taints),
    )


def _taint(raw: Any, where: str) -> tuple[TaintId, str]:
    if not isinstance(raw, Mapping) or set(raw) - {"key", "value", "effect"}:
        raise InputError("A taint takes key, value and effect", where=where, found=str(raw)[:200])
    effect = raw.get("effect")
    if effect not in EFFECTS:
        raise InputError(
            "A taint's effect is unknown", where=where, found=repr(effect), next_step=f"Use {', '.join(EFFECTS)}"
        )
    value = raw.get("value")
    key = _valid(_KEY, raw.get("key"), "taint key", where)
    return (key, effect), _valid(_VALUE, "" if value is None else value, "taint value", where)


def _valid(pattern: re.Pattern[str], value: Any, what: str, where: str) -> str:
    # YAML turns an unquoted true or 1 into something that is no text; what was meant is clear.
    text = str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else value
    if not isinstance(text, str) or pattern.fullmatch(text) is None:
        raise InputError(
            f"A {what} is not valid",
            where=where,
            found=repr(value)[:200],
            next_step="Use at most 63 letters, digits, '-', '_' and '.'; a key may have a domain and '/' before it",
        )
    return text


def managed(node: Mapping[str, Any]) -> Managed:
    """What the node's annotation remembers; nothing when it is absent or spoilt."""
    text = (node["metadata"].get("annotations") or {}).get(ANNOTATION)
    try:
        value = json.loads(text) if text else {}
        taints = frozenset((str(key), str(effect)) for key, effect in value.get("taints", []))
        return Managed(frozenset(map(str, value.get("labels", []))), taints)
    except (ValueError, TypeError, AttributeError):
        return Managed()


def plan(node: Mapping[str, Any], wanted: Want) -> dict[str, Any] | None:
    """The merge patch that brings the node there; None when there is nothing to do.

    It carries the resourceVersion that was read: the list of taints is replaced as a whole.
    """
    metadata, before = node["metadata"], managed(node)
    labels: dict[str, str | None] = dict.fromkeys(before.labels - set(wanted.labels))
    labels.update(wanted.labels)
    has = metadata.get("labels") or {}
    labels = {key: value for key, value in labels.items() if has.get(key) != value}
    patch: dict[str, Any] = {"metadata": {"labels": labels} if labels else {}}
    note = _note(wanted)
    if (metadata.get("annotations") or {}).get(ANNOTATION) != note:
        patch["metadata"]["annotations"] = {ANNOTATION: note}
    old = node["spec"].get("taints") or []
    new = _taints(old, before, wanted)
    if new != old:
        patch["spec"] = {"taints": new}
    if not patch["metadata"] and "spec" not in patch:
        return None
    patch["metadata"]["resourceVersion"] = metadata["resourceVersion"]
    return patch


def summary(node: Mapping[str, Any]) -> dict[str, Any]:
    """Labels and taints as a diff shows them."""
    taints = [
        f"{taint['key']}={taint.get('value', '')}:{taint['effect']}" for taint in node["spec"].get("taints") or []
    ]
    return {"labels": node["metadata"].get("labels") or {}, "taints": sorted(taints)}


def _note(wanted: Want) -> str | None:
    if not wanted.labels and not wanted.taints:
        return None
    return json.dumps({"labels": sorted(wanted.labels), "taints": sorted(map(list, wanted.taints))}, sort_keys=True)


def _taints(old: list[dict[str, Any]], before: Managed, wanted: Want) -> list[dict[str, Any]]:
    """The new list: others' taints stay as they are and where they are."""
    new, seen = [], set()
    for taint in old:
        ident = (taint["key"], taint["effect"])
        seen.add(ident)
        if ident in wanted.taints:
            new.append(
                taint if taint.get("value", "") == wanted.taints[ident] else _as_taint(ident, wanted.taints[ident])
            )
        elif ident not in before.taints:
            new.append(taint)
    return new + [_as_taint(ident, wanted.taints[ident]) for ident in sorted(wanted.taints) if ident not in seen]


def _as_taint(ident: TaintId, value: str) -> dict[str, Any]:
    return {"key": ident[0], "effect": ident[1], **({"value": value} if value else {})}
