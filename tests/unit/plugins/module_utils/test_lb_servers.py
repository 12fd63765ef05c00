# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy's words in, decisions out. The texts are those of HAProxy 2.6, shortened to the columns that are read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.lb_servers import Clock, Server, Want, bring, read, report

STATES = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_fqdn\n"
STATS = "# pxname,svname,scur,status,check_status,check_code,last_chk,check_desc,\nkube_api,FRONTEND,9,OPEN,,,,,\n"
BITS = {"ready": 0, "drain": 8, "maint": 1}


class HAProxy:
    """Answers as HAProxy does; `after` is what each look after an order finds."""

    def __init__(self, *servers: Server, after: tuple[Server, ...] = (), refusal: str = "") -> None:
        self.servers = {server.name: server for server in servers}
        self.after = list(after)
        self.refusal = refusal
        self.orders: list[str] = []
        self.time = 0.0

    def __call__(self, command: str) -> str:
        if command == "show servers state kube_api":
            return STATES + "".join(
                f"3 kube_api {number} {server.name} 192.0.2.1 {2 if server.up else 0} {BITS[server.admin]} -\n"
                for number, server in enumerate(self.servers.values(), 1)
            )
        if command == "show stat":
            rows = [f"{s.name},{s.sessions},{s.status},* L4CON,,,{s.check}," for s in self.servers.values()]
            return STATS + "".join(f"{px},{row}\n" for px in ("kube_api", "other") for row in rows) + "\n"
        if command.startswith("show servers"):
            return "Can't find backend.\n\n"
        self.orders.append(command)
        if not self.refusal:
            self._follow(command)
        return f"{self.refusal}\n\n"

    def _follow(self, command: str) -> None:
        name, state = command.split()[2].partition("/")[2], command.split()[4]
        self.servers[name] = replace(self.servers[name], admin=state)

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        if self.after:
            server = self.after.pop(0)
            self.servers[server.name] = server

    def bring(self, server: str, state: str, wait: float = 5, effects: bool = True) -> dict[str, object]:
        return bring(self, Want(server, state, wait=wait), Clock(lambda: self.time, self.sleep), effects)


UP = Server("cp1", "UP", "ready", up=True, sessions=2, check="Layer7 check passed")
DOWN = Server("cp2", "DOWN 1/2", "ready", up=False, sessions=0, check="Connection refused")
TEN = replace(UP, name="cp10", sessions=0)


def test_what_is_read_and_who_is_in_service() -> None:
    found = read(HAProxy(UP, DOWN, TEN, replace(UP, name="cp3", admin="maint", up=False)), "kube_api")
    assert list(found) == ["cp1", "cp2", "cp10", "cp3"]
    assert found["cp1"].as_dict() == {
        "status": "UP",
        "admin": "ready",
        "up": True,
        "sessions": 2,
        "check": "L4CON Layer7 check passed",
    }
    assert found["cp3"].admin == "maint"
    assert report(found)["backends_up"] == 2
    assert report({"cp1": replace(UP, admin="drain")})["backends_up"] == 0


def test_drained_waits_for_its_sessions() -> None:
    haproxy = HAProxy(UP, TEN, after=(replace(UP, admin="drain"), replace(UP, admin="drain", sessions=0)))
    result = haproxy.bring("cp1", "drained")
    assert haproxy.orders == ["set server kube_api/cp1 state drain"]
    assert (result["changed"], result["sessions"], result["backends_up"]) == (True, 0, 1)
    assert 0 < haproxy.time < 1


def test_sessions_that_remain_are_no_error() -> None:
    haproxy = HAProxy(UP)
    assert haproxy.bring("cp1", "drained", wait=2)["sessions"] == 2
    assert 2 <= haproxy.time < 3


@pytest.mark.parametrize("state", ["drained", "ready"])
def test_check_mode_predicts_and_orders_nothing(state: str) -> None:
    before = replace(UP, sessions=0, admin="ready" if state == "drained" else "drain")
    haproxy = HAProxy(before, TEN)
    predicted = haproxy.bring("cp1", state, effects=False)
    assert haproxy.orders == []
    real = haproxy.bring("cp1", state)
    assert predicted == real
    assert real["changed"]


@pytest.mark.parametrize(
    ("admin", "state", "orders"),
    [
        ("drain", "drained", 0),
        ("maint", "drained", 0),
        ("ready", "ready", 0),
        ("maint", "ready", 1),
        ("drain", "ready", 1),
    ],
)
def test_what_is_so_already_is_not_ordered(admin: str, state: str, orders: int) -> None:
    haproxy = HAProxy(replace(UP, admin=admin, sessions=0))
    assert haproxy.bring("cp1", state)["changed"] is bool(orders)
    assert len(haproxy.orders) == orders


def test_ready_waits_for_the_health_check() -> None:
    haproxy = HAProxy(replace(DOWN, admin="drain"), after=(DOWN, replace(DOWN, up=True)))
    assert haproxy.bring("cp2", "ready")["backends_up"] == 1


def test_a_health_check_that_does_not_pass_is_told_in_haproxys_words() -> None:
    with pytest.raises(KubeadmError) as caught:
        HAProxy(DOWN).bring("cp2", "ready", wait=3)
    assert caught.value.found == "DOWN 1/2, last check: L4CON Connection refused"
    assert HAProxy(DOWN).bring("cp2", "ready", wait=0)["backends_up"] == 0


def test_a_name_is_exact_and_the_known_ones_are_named() -> None:
    haproxy = HAProxy(TEN, DOWN)
    with pytest.raises(RefusedError) as caught:
        haproxy.bring("cp1", "drained")
    assert caught.value.found == "servers: cp10, cp2"
    assert haproxy.orders == []


def test_a_backend_that_is_not_there() -> None:
    with pytest.raises(RefusedError, match="Can't find backend"):
        read(HAProxy(UP), "other_api")


def test_a_refusal_is_passed_on() -> None:
    with pytest.raises(KubeadmError, match="Permission denied"):
        HAProxy(UP, refusal="Permission denied").bring("cp1", "drained")
