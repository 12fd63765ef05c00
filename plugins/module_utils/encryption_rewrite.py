# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects written again as they are, so that the API server stores them under its present key. It is given an API.

An empty patch does that, and only where the stored value is under another key: the API server compares what it would
store. Only metadata is asked for, so no Secret's content leaves the API server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from .errors import ApiError, InputError
from .https import Response

PAGE = 500
TRIES = 5
MERGE = "application/merge-patch+json"
_META = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
ONE, MANY = _META.format(""), _META.format("List")
GONE, CONFLICT, EXPIRED = 404, 409, 410
Object = dict[str, Any]


class Api(Protocol):
    """What is needed of kube_api's client."""

    def get(self, path: str) -> Object:
        """Read one object."""

    def raw(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = ...,
        accept: str = ...,
    ) -> Response:
        """Send."""

    def parsed(self, response: Response, method: str, path: str) -> Object:
        """The object of an answer; ApiError when it is another one."""


@dataclass
class Counts:
    """What became of one resource's objects. current: stored under the present key already."""

    seen: int = 0
    rewritten: int = 0
    current: int = 0
    gone: int = 0


@dataclass(frozen=True)
class Kind:
    """Where a resource's objects live."""

    base: str
    plural: str
    namespaced: bool

    def path(self, metadata: Mapping[str, Any]) -> str:
        """The path of one object."""
        name = quote(metadata["name"], safe="")
        if not self.namespaced:
            return f"{self.base}/{self.plural}/{name}"
        return f"{self.base}/namespaces/{quote(metadata['namespace'], safe='')}/{self.plural}/{name}"


def kind_of(api: Api, resource: str) -> Kind:
    """A resource as the encryption configuration names it: secrets, or deployments.apps."""
    plural, _dot, group = resource.partition(".")
    base = "/api/v1"
    if group:
        try:
            base = f"/apis/{api.get(f'/apis/{group}')['preferredVersion']['groupVersion']}"
        except ApiError as exc:
            if exc.status != GONE:
                raise
            raise _unknown(resource) from None
    for entry in api.get(base).get("resources") or []:
        if entry["name"] == plural:
            return Kind(base, plural, bool(entry["namespaced"]))
    raise _unknown(resource)


def _unknown(resource: str) -> InputError:
    return InputError(
        f"the API has no resource {resource}",
        where="the encryption configuration",
        found="a name that is not served",
        next_step="take it out of the encryption configuration when nothing of it is stored, then run this again",
    )


def listed(api: Api, kind: Kind) -> Iterator[Object]:
    """The metadata of all objects of a kind, page by page."""
    path, onward = f"{kind.base}/{kind.plural}", ""
    while True:
        query = {"limit": str(PAGE), **({"continue": onward} if onward else {})}
        response = api.raw("GET", path, query=query, accept=MANY)
        if response.status == EXPIRED and onward:
            # The list is older than what etcd keeps. From the start again: what is done already costs no write.
            onward = ""
            continue
        page = api.parsed(response, "GET", path)
        yield from (item["metadata"] for item in page.get("items") or [])
        onward = (page.get("metadata") or {}).get("continue") or ""
        if not onward:
            return


def rewrite(api: Api, kind: Kind, *, effects: bool) -> Counts:
    """Every object of a kind. Killed anywhere it is simply begun again: what is done needs no write."""
    counts = Counts()
    for metadata in listed(api, kind):
        counts.seen += 1
        if effects:
            _again(api, kind.path(metadata), str(metadata["resourceVersion"]), counts)
    return counts


def _again(api: Api, path: str, version: str, counts: Counts) -> None:
    """One object, only as it was read: whoever changes it meanwhile has written it under the present key, or we do."""
    for _attempt in range(TRIES):
        body: Object = {"metadata": {"resourceVersion": version}}
        response = api.raw("PATCH", path, body, content_type=MERGE, accept=ONE)
        if response.status == GONE:
            counts.gone += 1
            return
        if response.status != CONFLICT:
            after = str(api.parsed(response, "PATCH", path)["metadata"]["resourceVersion"])
            counts.rewritten += after != version
            counts.current += after == version
            return
        response = api.raw("GET", path, accept=ONE)
        if response.status == GONE:
            counts.gone += 1
            return
        version = str(api.parsed(response, "GET", path)["metadata"]["resourceVersion"])
    raise ApiError(
        "an object changes too often to be written again",
        status=CONFLICT,
        where=path,
        found=f"{TRIES} conflicts",
        next_step="run this again; what is done already needs no write",
    )
