# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an object's apiVersion and kind to its path in the API, by asking the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from .errors import ApiError

Object = dict[str, Any]


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
