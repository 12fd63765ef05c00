# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""lb_backend through a socket, as Ansible runs it. A real HAProxy is asked by the scenario kube_lb."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.plugins.modules.support import run_module

STATES = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_fqdn
3 kube_api 1 cp1 192.0.2.11 2 {bits} -
3 kube_api 2 cp2 192.0.2.12 2 0 -

"""
STATS = """# pxname,svname,scur,status,check_status,check_code,last_chk,check_desc,
kube_api,cp1,0,{status},L7OK,200,,Layer7 check passed,
kube_api,cp2,3,UP,L7OK,200,,Layer7 check passed,
kube_api,BACKEND,3,UP,,,,,

"""


class HAProxy(socketserver.ThreadingUnixStreamServer):
    """One command for each connection, which is closed after the answer."""

    silent = False

    def __init__(self, path: str) -> None:
        super().__init__(path, Handler)
        self.orders: list[str] = []

    def answer(self, command: str) -> str:
        if command.startswith("set server"):
            self.orders.append(command)
            return "\n"
        drained = self.orders[-1:] == ["set server kube_api/cp1 state drain"]
        form = STATS if command == "show stat" else STATES
        return form.format(bits=8 if drained else 0, status="DRAIN" if drained else "UP")


class Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        command = self.rfile.readline().decode().strip()
        assert isinstance(self.server, HAProxy)
        if self.server.silent:
            self.rfile.read(1)
        self.wfile.write(self.server.answer(command).encode())


@pytest.fixture
def haproxy(tmp_path: Path) -> Iterator[HAProxy]:
    with HAProxy(str(tmp_path / "admin.sock")) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_drained_seen_and_back(haproxy: HAProxy, tmp_path: Path) -> None:
    common = {"socket": str(tmp_path / "admin.sock"), "server": "cp1"}
    predicted = run_module("lb_backend", {**common, "state": "drained"}, check=True)
    assert haproxy.orders == []
    real = run_module("lb_backend", {**common, "state": "drained"})
    assert haproxy.orders == ["set server kube_api/cp1 state drain"]
    for result in (predicted, real):
        assert (result["changed"], result["sessions"], result["backends_up"]) == (True, 0, 1)
        assert result["servers"]["cp1"]["admin"] == "drain"
    assert not run_module("lb_backend", {**common, "state": "drained"})["changed"]
    looked = run_module("lb_backend", {"socket": common["socket"], "state": "seen"})
    assert (looked["changed"], looked["answered"], looked["servers"]) == (False, True, real["servers"])
    back = run_module("lb_backend", {**common, "state": "ready"})
    assert (back["changed"], back["backends_up"]) == (True, 2)
    assert haproxy.orders[1:] == ["set server kube_api/cp1 state ready"]


def test_no_haproxy_is_an_error_except_for_a_look(tmp_path: Path) -> None:
    nowhere = {"socket": str(tmp_path / "admin.sock")}
    looked = run_module("lb_backend", {**nowhere, "state": "seen"})
    assert (looked["answered"], looked["servers"], looked["backends_up"]) == (False, {}, 0)
    assert "No such file" in looked["found"]
    failed = run_module("lb_backend", {**nowhere, "state": "drained", "server": "cp1"})
    assert failed["error"]["what"] == "HAProxy does not answer"
    assert failed["error"]["where"] == nowhere["socket"]
    assert "systemctl status haproxy" in failed["msg"]


def test_a_frozen_haproxy_is_given_up(haproxy: HAProxy, tmp_path: Path) -> None:
    haproxy.silent = True
    looked = run_module("lb_backend", {"socket": str(tmp_path / "admin.sock"), "state": "seen"})
    assert (looked["answered"], "no answer in time" in looked["found"]) == (False, True)


def test_a_server_has_to_be_named() -> None:
    assert "server" in run_module("lb_backend", {"state": "ready"})["msg"]
