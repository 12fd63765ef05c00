# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests: from text to checked objects in the order of applying, and what of an object counts as a change."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import InputError

Object = dict[str, Any]
_VERSION = re.compile(r"(?:[a-z0-9][a-z0-9.-]*/)?v[a-z0-9]+")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_NAME = re.compile(r"(?!\.\.?$)[^/%\x00-\x20]{1,253}")
# What others live in, or are an instance of, comes first.
_FIRST = ("Namespace", "CustomResourceDefinition")
# Set by the API server; never a difference that anybody asked for.
_SERVER_SET = ("resourceVersion", "generation", "uid", "creationTimestamp", "managedFields", "selfLink")


def load_manifest(text: str, source: str) -> list[Any]:
    """The documents of a manifest, JSON or YAML."""
    if text.lstrip().startswith("{"):
        try:
            return [json.loads(text)]
        except ValueError:
            pass  # Several documents, or YAML in flow style.
    try:
        import yaml  # noqa: PLC0415 - may be missing where this runs, and JSON does not need it
    except ImportError:
        hint = "Install PyYAML there, write the manifest in JSON, or pass the parsed documents in objects"
        raise InputError("Reading YAML needs PyYAML, which is missing", where=source, next_step=hint) from None

    class Loader(yaml.SafeLoader):
        """Leaves timestamps as text, as Kubernetes does."""

        yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own name and kind of attribute
            first: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:timestamp"]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    try:
        return list(yaml.load_all(text, Loader))
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        found = f"line {mark.line + 1}, column {mark.column + 1}: {getattr(exc, 'problem', '')}" if mark else "not YAML"
        raise InputError("The manifest is not valid YAML", where=source, found=found) from None


def flatten(documents: Iterable[Any]) -> list[Object]:
    """The objects of these documents, in the order of applying: Lists unpacked, empty documents left out."""
    objects: list[Object] = []
    for document in documents:
        if document is None:
            continue
        if isinstance(document, dict) and str(document.get("kind", "")).endswith("List") and "items" in document:
            objects += flatten(document["items"] or [])
        else:
            objects.append(document)
    for number, obj in enumerate(objects, 1):
        _check(number, obj)
    return sorted(objects, key=_rank)


def refuse_duplicates(objects: Iterable[Object]) -> None:
    """An object that stands twice in a manifest would change back and forth for ever."""
    seen: set[tuple[str, str]] = set()
    for obj in objects:
        ident = (obj["apiVersion"].rpartition("/")[0], title(obj))
        if ident in seen:
            raise InputError(f"{title(obj)} stands twice in the manifest", next_step="Remove one of the two")
        seen.add(ident)


def defined_kinds(objects: Iterable[Object]) -> set[tuple[str, str]]:
    """Group and kind of what the manifest's own CustomResourceDefinitions define."""
    specs = [obj.get("spec") or {} for obj in objects if obj["kind"] == "CustomResourceDefinition"]
    return {(str(spec.get("group")), str((spec.get("names") or {}).get("kind"))) for spec in specs}


def group_kind(obj: Mapping[str, Any]) -> tuple[str, str]:
    """Group and kind of an object; the core group is empty."""
    return obj["apiVersion"].rpartition("/")[0], obj["kind"]


def essence(obj: Mapping[str, Any] | None, manager: str) -> Any:
    """What counts as a change: everything but the status and what the server sets, and which fields are `manager`'s."""
    if obj is None:
        return None
    owned = [
        entry.get("fieldsV1")
        for entry in obj["metadata"].get("managedFields") or []
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource")
    ]
    return [visible(obj), owned]


def visible(obj: Mapping[str, Any]) -> Object:
    """The object without its status and without what the server sets."""
    kept = {key: value for key, value in obj.items() if key not in ("status", "metadata")}
    kept["metadata"] = {key: value for key, value in obj["metadata"].items() if key not in _SERVER_SET}
    return kept


def difference(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> Object:
    """A diff for people; values of Secrets are replaced by a word that says whether they change."""
    old, new = visible(before) if before else {}, visible(after)
    if after["kind"] == "Secret":
        _mask(old, new)
    return {"before_header": title(after), "after_header": title(after), "before": old, "after": new}


def _mask(old: Object, new: Object) -> None:
    for obj in (old, new):
        # kubectl keeps a copy of the whole object, data and all, in an annotation.
        obj["metadata"] = {key: value for key, value in obj.get("metadata", {}).items() if key != "annotations"}
    for key in ("data", "stringData"):
        was, now = old.get(key) or {}, new.get(key) or {}
        if was:
            old[key] = dict.fromkeys(was, "(secret)")
        if now:
            new[key] = {name: "(secret)" if was.get(name) == now[name] else "(secret, changed)" for name in now}


def title(obj: Mapping[str, Any]) -> str:
    """How people call an object: Kind namespace/name."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    return f"{obj['kind']} {namespace + '/' if namespace else ''}{metadata['name']}"


def _rank(obj: Object) -> int:
    return _FIRST.index(obj["kind"]) if obj["kind"] in _FIRST else len(_FIRST)


def _check(number: int, obj: Any) -> None:
    if not isinstance(obj, dict):
        found = f"a {type(obj).__name__}, not a mapping"
    else:
        metadata = obj.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        values = {"apiVersion": (obj.get("apiVersion"), _VERSION), "kind": (obj.get("kind"), _KIND)}
        values["metadata.name"] = (metadata.get("name"), _NAME)
        values["metadata.namespace"] = (metadata.get("namespace") or "default", _NAME)
        bad = [key for key, (value, form) in values.items() if not (isinstance(value, str) and form.fullmatch(value))]
        if not bad and _is_json(obj):
            return
        found = f"{', '.join(bad)} missing or not valid" if bad else "values that JSON cannot hold"
    raise InputError(
        f"Object number {number} of the manifest is not a Kubernetes object",
        found=found,
        next_step="Give every object an apiVersion, a kind and a metadata.name (generateName cannot be applied twice)",
    )


def _is_json(obj: Object) -> bool:
    try:
        json.dumps(obj, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
