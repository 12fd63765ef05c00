# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small client for the Kubernetes API: several endpoints, bounded retries, server-side apply, server-side dry run.

It needs nothing but the standard library, so the same modules run on the controller and, by delegation, on any node.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

from .errors import ApiError, InputError, UnreachableError
from .https import HttpsTransport, Request, Response, SendError, tls_context
from .kube_resources import Discovery, Resource
from .kubeconfig import KubeConfig, load

FIELD_MANAGER = "quorum.kubeadm"
JSON = "application/json"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
# The API server is starting, overloaded, or its etcd has just changed leader.
TRANSIENT = frozenset({429, 500, 502, 503, 504})
TOKEN_TYPE = "bootstrap.kubernetes.io/token"  # noqa: S105 - the type's name, no secret
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
ARGUMENTS: dict[str, dict[str, Any]] = {
    "kubeconfig": {"type": "path", "required": True},
    "endpoints": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "int", "default": 30},
}
Object = dict[str, Any]

_NEXT = {
    401: "The client certificate or token is not accepted: expired, or of another cluster. Copy "
    "/etc/kubernetes/admin.conf from a control plane again",
    403: "The user of this kubeconfig lacks the permission. Use the admin.conf of a control plane",
    409: "Something else changed the same object just now. Run this again",
}
_NEXT_TRANSIENT = "Look at the API server, its etcd and its webhooks on that host: its /readyz?verbose and its log"


class Transport(Protocol):
    """What sends one request to one endpoint, or raises SendError."""

    def send(self, endpoint: str, request: Request) -> Response: ...


def open_api(params: Mapping[str, Any], dry_run: bool) -> KubeApi:
    """The client that a module's parameters (ARGUMENTS) describe."""
    config = load(params["kubeconfig"])
    transport = HttpsTransport(tls_context(config), config.tls_server_name)
    return api_for(config, params["endpoints"] or [], transport, timeout=params["timeout"], dry_run=dry_run)


def api_for(
    config: KubeConfig, endpoints: Sequence[str], transport: Transport, *, timeout: float, dry_run: bool
) -> KubeApi:
    """A client with the kubeconfig's token, if any; certificates are the transport's."""
    headers = {"Authorization": f"Bearer {config.token}"} if config.token else {}
    return KubeApi(transport, endpoints or [config.server], headers=headers, timeout=timeout, dry_run=dry_run)


class KubeApi:
    """The API of one cluster. In dry run every change is checked and answered by the server but not stored.

    Everything that is sent may arrive twice: creation recognises its own object, the rest is idempotent by nature.
    """

    def __init__(
        self,
        transport: Transport,
        endpoints: Sequence[str],
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        dry_run: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport = transport
        self._endpoints = [_endpoint(url) for url in endpoints]
        self._headers = {"User-Agent": FIELD_MANAGER, **(headers or {})}
        self._timeout = timeout
        self.dry_run = dry_run
        self._clock = clock
        self._sleep = sleep
        self._faults: dict[str, SendError] = {}
        self.server_time: datetime | None = None
        self._discovery = Discovery(self.get)

    @property
    def endpoint(self) -> str:
        """The endpoint that is asked first: the one that answered last."""
        return self._endpoints[0]

    def raw(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        retry: bool = True,
    ) -> Response:
        """Send, with retries until the timeout while nothing answers or the answer is transient."""
        asked = dict(query or {})
        if self.dry_run and method != "GET":
            asked["dryRun"] = "All"
            # With options in the body, the API server does not look at the query: it would really delete.
            if method == "DELETE":
                body = {"kind": "DeleteOptions", "apiVersion": "v1", **(body or {}), "dryRun": ["All"]}
        target = f"{path}?{urlencode(asked)}" if asked else path
        payload = None if body is None else json.dumps(body).encode()
        headers = {**self._headers, "Accept": accept}
        headers |= {} if payload is None else {"Content-Type": content_type}
        until, pause = self._clock() + self._timeout, FIRST_PAUSE
        while True:
            answer = self._sweep(Request(method, target, payload, headers))
            final = answer is not None and answer.status not in TRANSIENT
            late = self._clock() + pause > until
            if answer is not None and (final or late or not retry):
                return answer
            if answer is None and (late or all(fault.certificate for fault in self._faults.values())):
                raise self._unreachable()
            self._sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Object:
        """Read one object."""
        return self.parsed(self.raw("GET", path, query=query), "GET", path)

    def find(self, path: str) -> Object | None:
        """Read one object; None when there is none."""
        response = self.raw("GET", path)
        return None if response.status == 404 else self.parsed(response, "GET", path)

    def list(self, path: str, query: Mapping[str, str] | None = None) -> list[Object]:
        """Read a collection, with one request."""
        items: list[Object] = self.get(path, query).get("items") or []
        return items

    def create(self, path: str, body: Object) -> Object:
        """Create the object in this collection. An equal one that is there already is an earlier try of ours."""
        response = self.raw("POST", path, body)
        if response.status == 409:
            there = self.find(f"{path}/{quote(body['metadata']['name'], safe='')}")
            if there is not None and _covers(there, body):
                return there
        return self.parsed(response, "POST", path)

    def patch(self, path: str, body: Object, content_type: str = MERGE) -> Object:
        """Change an object. Put metadata.resourceVersion into the body to change only what was read."""
        response = self.raw("PATCH", path, body, query={"fieldManager": FIELD_MANAGER}, content_type=content_type)
        return self.parsed(response, "PATCH", path)

    def resource(self, obj: Object) -> Resource:
        """Where objects of this one's kind live. ApiError 404 when the API does not know the kind."""
        return self._discovery.resource(obj)

    def apply(self, obj: Object, dry_run: bool = False) -> Object:
        """Server-side apply as FIELD_MANAGER, taking over fields that others own."""
        path = self.resource(obj).path(obj)
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        if dry_run:
            query["dryRun"] = "All"
        return self.parsed(self.raw("PATCH", path, obj, query=query, content_type=APPLY), "PATCH", path)

    def delete(self, path: str, uid: str = "") -> bool:
        """Delete an object, only the one with this uid if given. False when it is not there (any more)."""
        body: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        response = self.raw("DELETE", path, body)
        if response.status == 404:
            return False
        self.parsed(response, "DELETE", path)
        return True

    def now(self) -> datetime:
        """The API server's time: expiry dates are judged by its clock, which may not be ours."""
        if self.server_time is None:
            self.get("/version")
        return self.server_time or datetime.now(timezone.utc)

    def _sweep(self, request: Request) -> Response | None:
        """Ask the endpoints in order until one answers; a transient answer counts only when none is better."""
        self._faults = {}
        transient = None
        for url in list(self._endpoints):
            try:
                base = urlsplit(url).path
                answer = self._transport.send(url, replace(request, target=base + request.target) if base else request)
            except SendError as exc:
                self._faults[url] = exc
                continue
            if answer.status not in TRANSIENT:
                # Stay with what works: a dead virtual address costs its timeout once per module, not once per request.
                self._endpoints.remove(url)
                self._endpoints.insert(0, url)
                self.server_time = _date(answer.headers.get("date")) or self.server_time
                return answer
            transient = answer
        return transient

    def _unreachable(self) -> UnreachableError:
        found = "; ".join(f"{url}: {fault.reason}" for url, fault in self._faults.items())
        if any(fault.certificate for fault in self._faults.values()):
            advice = "A server with a certificate of another CA is another cluster, or no API server: check the address"
        else:
            advice = "Check that an API server runs and that its address and port can be reached from here; where they "
            advice += "cannot, set kube_api_via to a host that reaches them"
        where = ", ".join(self._faults)
        return UnreachableError("No API endpoint answered", where=where, found=found, next_step=advice)

    def parsed(self, response: Response, method: str, path: str) -> Object:
        """The object of an answer; ApiError when it is another one."""
        try:
            value = json.loads(response.body)
        except ValueError:
            value = None
        if 200 <= response.status < 300 and isinstance(value, dict):
            return value
        message = value.get("message") if isinstance(value, dict) else None
        status = response.status
        raise ApiError(
            f"The Kubernetes API answered {status} {response.reason} to {method} {path}",
            status=status,
            where=self.endpoint,
            found=str(message or response.body[:200].decode("utf-8", "replace") or "an empty answer"),
            next_step=_NEXT_TRANSIENT if status in TRANSIENT else _NEXT.get(status, ""),
        )


def secret_path(name: str = "") -> str:
    """The path of a Secret in kube-system; of all of them when there is no name."""
    base = "/api/v1/namespaces/kube-system/secrets"
    return f"{base}/{quote(name, safe='')}" if name else base


def node_path(name: str = "") -> str:
    """The path of a node; of all of them when there is no name."""
    return f"/api/v1/nodes/{quote(name, safe='')}" if name else "/api/v1/nodes"


def token_secrets(api: KubeApi) -> list[Object]:
    """The Secrets of all bootstrap tokens."""
    return api.list(secret_path(), {"fieldSelector": f"type={TOKEN_TYPE}"})


def _endpoint(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and parts.hostname and parts.port != 0 and not (parts.query or parts.username)
    except ValueError:
        good = False
    if not good:
        raise InputError(
            "An API endpoint is not an https URL", found=repr(url), next_step="Write it like https://192.0.2.10:6443"
        )
    return url.rstrip("/")


def _covers(there: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(_covers(there.get(key), value) for key, value in wanted.items())
    return bool(there == wanted)


def _date(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text) if text else None
    except (TypeError, ValueError):
        return None
