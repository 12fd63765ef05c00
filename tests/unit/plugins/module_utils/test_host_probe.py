"""Network questions: packets as bytes, API servers as real TLS listeners on loopback."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import host_probe as subject
from tests.unit.plugins.module_utils.certificates import self_signed

MAC = bytes.fromhex("02fc00000001")
PEER = bytes.fromhex("02fc000000ff")
VIP = socket.inet_aton("192.0.2.10")


def arp_reply(sender: bytes, address: bytes, operation: int = 2) -> bytes:
    ethernet = MAC + sender + b"\x08\x06"
    return ethernet + struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + sender + address + MAC + b"\0" * 22


def test_the_arp_question_changes_nobodys_table() -> None:
    frame = subject.arp_question(MAC, VIP)
    assert len(frame) == 42
    assert frame[:6] == b"\xff" * 6
    assert frame[20:22] == b"\x00\x01"
    assert frame[28:32] == b"\0\0\0\0", "RFC 5227: the sender's address is empty"
    assert frame[38:42] == VIP


def test_only_an_answer_for_the_address_counts() -> None:
    assert subject.parse_arp_answer(arp_reply(PEER, VIP), VIP) == "02:fc:00:00:00:ff"
    assert subject.parse_arp_answer(arp_reply(PEER, socket.inet_aton("192.0.2.11")), VIP) is None
    assert subject.parse_arp_answer(arp_reply(PEER, VIP, operation=1), VIP) is None
    assert subject.parse_arp_answer(arp_reply(PEER, VIP)[:41], VIP) is None


def vrrp_packet(version: int, vrid: int, priority: int, addresses: list[str], options: bytes = b"") -> bytes:
    """An IPv4 packet as keepalived sends it; `options` makes its header longer."""
    header = bytes([0x40 | (5 + len(options) // 4)]) + b"\0" * 7 + b"\xff\x70\0\0" + socket.inet_aton("192.0.2.7")
    header += socket.inet_aton("224.0.0.18") + options
    body = bytes([version << 4 | 1, vrid, priority, len(addresses)]) + b"\0\x1e\0\0"
    return header + body + b"".join(map(socket.inet_aton, addresses))


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("options", [b"", b"\x94\x04\0\0"])
def test_vrrp_advertisement(version: int, options: bytes) -> None:
    packet = vrrp_packet(version, 51, 100, ["192.0.2.10", "192.0.2.11"], options)
    expected = {"source": "192.0.2.7", "vrid": 51, "priority": 100, "vip": ["192.0.2.10", "192.0.2.11"]}
    assert subject.parse_vrrp(packet) == expected


def test_other_packets_are_not_vrrp() -> None:
    packet = bytearray(vrrp_packet(3, 51, 100, ["192.0.2.10"]))
    packet[9] = 6
    assert subject.parse_vrrp(bytes(packet)) is None
    assert subject.parse_vrrp(vrrp_packet(4, 51, 100, [])) is None
    assert subject.parse_vrrp(b"") is None


@given(st.binary(max_size=200))
def test_no_packet_breaks_the_parsers(packet: bytes) -> None:
    subject.parse_vrrp(packet)
    subject.parse_arp_answer(packet, VIP)
    subject.parse_status(packet)


@given(st.integers(0, 255), st.integers(0, 255), st.lists(st.integers(0, 2**32 - 1), max_size=5))
def test_any_advertisement_is_read_back(vrid: int, priority: int, numbers: list[int]) -> None:
    addresses = [socket.inet_ntoa(number.to_bytes(4, "big")) for number in numbers]
    found = subject.parse_vrrp(vrrp_packet(3, vrid, priority, addresses))
    assert found == {"source": "192.0.2.7", "vrid": vrid, "priority": priority, "vip": addresses}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://192.0.2.10:6443", ("192.0.2.10", 6443, "/readyz")),
        ("https://192.0.2.10:6443/", ("192.0.2.10", 6443, "/readyz")),
        ("https://[2001:db8::1]:6443/livez", ("2001:db8::1", 6443, "/livez")),
        ("cp1:6443", ("cp1", 6443, "/readyz")),
    ],
)
def test_ready_url(url: str, expected: tuple[str, int, str]) -> None:
    assert subject.ready_url(url) == expected


@contextmanager
def server(answer: bytes | None, certificate: Path | None) -> Iterator[tuple[str, list[bytes]]]:
    """A listener that reads a request and answers; None never answers; without certificate it speaks no TLS."""
    requests: list[bytes] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            try:
                connection: socket.socket = listener.accept()[0]
                if certificate:
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    context.load_cert_chain(certificate)
                    connection = context.wrap_socket(connection, server_side=True)
                with connection:
                    requests.append(connection.recv(4096))
                    if answer is None:
                        time.sleep(10)
                    else:
                        connection.sendall(answer)
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}", requests


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls") / "server.pem")


@pytest.mark.parametrize(("line", "status"), [(b"200 OK", 200), (b"401 Unauthorized", 401), (b"500 x", 500)])
def test_an_api_server_that_answers(certificate: Path, line: bytes, status: int) -> None:
    with server(b"HTTP/1.1 " + line + b"\r\nContent-Length: 2\r\n\r\nok", certificate) as (url, requests):
        found = subject.probe_api(url)
    assert (found["status"], found["error"]) == (status, None)
    assert isinstance(found["latency_ms"], int)
    assert requests[0].startswith(b"GET /readyz HTTP/1.1\r\n")
    assert b"uthorization" not in requests[0], "no credentials are ever sent"


def test_an_api_server_that_never_answers_costs_little(certificate: Path) -> None:
    started = time.monotonic()
    with server(None, certificate) as (url, _requests):
        found = subject.probe_api(url, timeout=0.3)
    assert time.monotonic() - started < 5
    assert found["status"] is None
    assert "timed out" in found["error"]


def test_something_else_behind_the_port() -> None:
    with server(b"SSH-2.0-x\r\n", None) as (url, _requests):
        found = subject.probe_api(url)
    assert found["status"] is None
    assert found["error"]


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "https://[broken", "https://127.0.0.1:99999", ""])
def test_a_url_that_cannot_be_asked_is_an_answer_not_a_crash(url: str) -> None:
    found = subject.probe_api(url)
    assert found["status"] is None
    assert found["error"]


def answer_after(seconds: float) -> str:
    time.sleep(seconds)
    return "done"


def test_questions_run_side_by_side_and_late_ones_are_given_up() -> None:
    asked = subject.Background()
    started = time.monotonic()
    for number in range(10):
        asked.ask(f"fast {number}", lambda: answer_after(0.5), "late", 30)
    asked.ask("slow", lambda: answer_after(60), "late", 0.3)
    answers = asked.answers()
    assert time.monotonic() - started < 4.5, "one after another they would take 5 s"
    assert {answers[f"fast {number}"] for number in range(10)} == {"done"}
    assert answers["slow"] == "late"


def test_vrrp_is_heard_from_the_wire() -> None:
    """A real advertisement to a packet socket, over loopback; needs the right to open raw sockets."""
    try:
        sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, subject.VRRP)
    except PermissionError:
        pytest.skip("raw sockets are not allowed here")
    advert = vrrp_packet(3, 77, 200, ["192.0.2.10"])[20:]
    with sender:
        asked = subject.Background()
        asked.ask("vrrp", lambda: subject.listen_vrrp(0.8, ["127.0.0.1"]), [], 3)
        for _attempt in range(6):
            time.sleep(0.1)
            sender.sendto(advert, ("127.0.0.1", 0))
        found = asked.answers()["vrrp"]
    assert [(row["source"], row["vrid"], row["vip"]) for row in found] == [("127.0.0.1", 77, ["192.0.2.10"])]


def test_an_interface_that_is_not_there_is_an_error_in_the_answer() -> None:
    found = subject.probe_arp("192.0.2.10", "no-such-link0", "02:fc:00:00:00:01")
    assert found["answered"] is False
    assert found["error"]
