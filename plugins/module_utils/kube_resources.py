# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an object's apiVersion and kind to its path in the API, by asking the API; and the order of applying."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from .errors import ApiError, InputError

Object = dict[str, Any]
# What others live in, or are an instance of, comes first.
_VERSION = re.compile(r"(?:[a-z0-9.-]+/)?v[a-z0-9]+")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_NAME = re.compile(r"(?!\.\.?$)[^/%\x00-\x20]{1,253}")
_FIRST = ("Namespace", "CustomResourceDefinition")


@dataclass(frozen=True)
class Resource:
    """A kind of objects: where they live, and whether in a namespace."""

    base: str
    plural: str
    namespaced: bool

    def path(self, obj: Mapping[str, Any]) -> str:
        """The path of one object; a namespaced one without a namespace lives in `default`."""
        metadata = obj["metadata"]
        name = quote(metadata["name"], safe="")
        if not self.namespaced:
            return f"{self.base}/{self.plural}/{name}"
        namespace = quote(metadata.get("namespace") or "default", safe="")
        return f"{self.base}/namespaces/{namespace}/{self.plural}/{name}"


class Discovery:
    """Asks the API for its resources, once per group and version."""

    def __init__(self, get: Callable[[str], Object]) -> None:
        self._get = get
        self._known: dict[str, dict[str, Resource]] = {}

    def resource(self, obj: Mapping[str, Any]) -> Resource:
        """The resource of this object's kind. ApiError 404 when the API does not have it (yet)."""
        version, kind = obj["apiVersion"], obj["kind"]
        found = self._known.get(version, {}).get(kind)
        if found is None:
            # Asked again when the kind is missing: its definition may have been made a moment ago.
            self._known[version] = self._ask(version)
            found = self._known[version].get(kind)
        if found is None:
            raise ApiError(
                f"The API does not know the kind {kind} in {version}",
                status=404,
                found=f"kinds of {version}: {', '.join(sorted(self._known[version])) or 'none'}",
                next_step="Check apiVersion and kind, or install the CustomResourceDefinition first",
            )
        return found

    def _ask(self, version: str) -> dict[str, Resource]:
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        try:
            listing = self._get(base)
        except ApiError as exc:
            if exc.status != 404:
                raise
            return {}
        return {
            entry["kind"]: Resource(base, entry["name"], bool(entry["namespaced"]))
            for entry in listing.get("resources") or []
            if "/" not in entry["name"]
        }


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
        if not bad:
            return
        found = f"{', '.join(bad)} missing or not valid"
    raise InputError(
        f"Object number {number} of the manifest is not a Kubernetes object",
        found=found,
        next_step="Give every object an apiVersion, a kind and a metadata.name (generateName cannot be applied twice)",
    )
