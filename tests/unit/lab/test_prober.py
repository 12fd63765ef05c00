# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the prober asks for, and on which connections."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from lab import prober
from lab.channel import Answer, Request
from lab.kubeconfig import Access
from lab.probefiles import PROBES, load_lines


class FakeChannel:
    """A server that holds the objects, and answers at once."""

    def __init__(self, *_place: Any, **_kept: Any) -> None:
        """As a real one, which connects when it is asked."""

    def ask(self, request: Request) -> Answer:
        if request.method == "POST":
            return Answer(0.0, 0.0, 201, _stored(request.body or b""), "", True)
        return Answer(1.0, 2.0, 200, b"{}", "", True)


def _stored(body: bytes) -> bytes:
    return body.replace(b'"metadata": {', b'"metadata": {"resourceVersion": "7", ')


@pytest.mark.parametrize("kinds", [("read",), ("read", "write"), prober.KINDS])
def test_it_asks_for_what_it_was_told_on_new_and_on_kept_connections(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    monkeypatch.setattr(prober, "Channel", FakeChannel)
    monkeypatch.setattr(prober, "PATIENCE", 0.1)
    context = ssl.create_default_context()
    access = Access("https://192.0.2.1:6443", context, context)
    prober.Prober(prober.Plan(access, tmp_path, seconds=0.1, rate=20.0, kinds=kinds)).run()
    asked = {(probe["kind"], probe["connection"]) for probe in load_lines(tmp_path / PROBES)}
    assert asked == {(kind, connection) for kind in kinds for connection in (prober.NEW, prober.KEPT)}
