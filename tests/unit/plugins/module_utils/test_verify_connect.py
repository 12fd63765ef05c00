# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What /readyz answers becomes words for a person."""

from __future__ import annotations

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import verify_connect as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.https import Request, Response, SendError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import KubeApi

URL = "https://192.0.2.11:6443"


class Answers:
    """A transport with one answer for everything."""

    def __init__(self, answer: Response | SendError) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, str]] = []

    def send(self, endpoint: str, request: Request) -> Response:
        self.asked.append((endpoint, request.method, request.target))
        if isinstance(self.answer, SendError):
            raise self.answer
        return self.answer


class Connections(subject.Connections):
    """Without a kubeconfig."""

    def __init__(self, transport: Answers) -> None:
        self._endpoints = ("https://192.0.2.10:6443", URL)
        self.transport = transport
        self.opened: list[tuple[str, ...]] = []
        self.api = self._open(self._endpoints, 0)

    def _open(self, endpoints: object, timeout: float) -> KubeApi:
        assert isinstance(endpoints, (list, tuple))
        self.opened.append(tuple(endpoints))
        return KubeApi(self.transport, endpoints, timeout=0)


BODY = b"[+]ping ok\n[-]etcd failed: reason withheld\n[-]poststarthook/rbac failed\nreadyz check failed\n"


@pytest.mark.parametrize(
    ("answer", "status", "found"),
    [
        (Response(200, "OK", b"ok"), 200, "ready in"),
        (Response(500, "x", BODY), 500, "answered 500: [-]etcd failed: reason withheld; [-]poststarthook/rbac failed"),
        (Response(403, "x", b"forbidden"), 403, "answered 403: forbidden"),
        (SendError("connection refused"), 0, "connection refused"),
    ],
)
def test_readyz_at_exactly_one_address(answer: Response | SendError, status: int, found: str) -> None:
    transport = Answers(answer)
    seen = Connections(transport).ask("cp1", URL)
    assert (seen.subject, seen.url, seen.status) == ("cp1", URL, status)
    assert seen.found.startswith(found)
    assert URL not in seen.found
    assert transport.asked == [(URL, "GET", "/readyz")]


def test_questions_side_by_side_go_to_the_endpoint_that_works_and_deletions_to_any() -> None:
    connections = Connections(Answers(Response(200, "OK", b"{}")))
    assert connections.fresh() is not connections.main()
    assert connections.stubborn() is not connections.main()
    assert connections.opened[1:] == [("https://192.0.2.10:6443",), ("https://192.0.2.10:6443", URL)]
