# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to the network: does an API server answer, who owns an address, who speaks VRRP. All bounded in time."""

from __future__ import annotations

import ctypes
import socket
import struct
import threading
import time
from typing import Any, Callable
from urllib.parse import urlsplit

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError

API_TIMEOUT = 1.0
ETCD_TIMEOUT = 2.0
ETCD_URL = "https://127.0.0.1:2379"
ETCD_PKI = "/etc/kubernetes/pki/etcd"
ETCD_FILES = (f"{ETCD_PKI}/ca.crt", f"{ETCD_PKI}/healthcheck-client.crt", f"{ETCD_PKI}/healthcheck-client.key")
ARP_TRIES = 3
ARP_WAIT = 0.3
ETH_P_IP, ETH_P_ARP, VRRP = 0x0800, 0x0806, 112
SO_ATTACH_FILTER = 26
VRRP_GROUP = "224.0.0.18"


class Background:
    """Runs questions side by side with everything else; an answer that is not there in time is the default."""

    def __init__(self) -> None:
        self._answers: dict[str, Any] = {}
        self._threads: list[tuple[threading.Thread, float]] = []

    def ask(self, key: str, question: Callable[[], Any], default: Any, seconds: float) -> None:
        self._answers[key] = default

        def work() -> None:
            self._answers[key] = question()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self._threads.append((thread, time.monotonic() + seconds))

    def answers(self) -> dict[str, Any]:
        for thread, deadline in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return dict(self._answers)


def ready_url(url: str) -> tuple[str, int, str]:
    """Host, port and path of a URL; a base URL is asked for /readyz."""
    parts = urlsplit(url if "//" in url else f"https://{url}")
    return parts.hostname or "", parts.port or 443, parts.path if parts.path not in ("", "/") else "/readyz"


def parse_status(answer: bytes) -> int | None:
    """The status code of an HTTP answer."""
    words = answer.split(b"\r\n", 1)[0].split()
    return int(words[1]) if len(words) >= 2 and words[0].startswith(b"HTTP/") and words[1].isdigit() else None


def probe_etcd(ca: str, certificate: str, key: str) -> dict[str, Any]:
    """What the etcd member on this host tells of its cluster, as etcd_info returns it, or why it tells nothing."""
    from ansible_collections.quorum.kubeadm.plugins.module_utils import (  # noqa: PLC0415 - most hosts have no etcd
        etcd_api,
        etcd_health,
    )

    try:
        transport = etcd_api.tls_transport(ca, certificate, key)
        sample = etcd_health.observe([ETCD_URL], lambda url: etcd_api.EtcdApi(url, transport, ETCD_TIMEOUT))
    except KubeadmError as exc:
        return exc.result()
    return {"etcd": sample.result()}


def probe_api(url: str, timeout: float = API_TIMEOUT) -> dict[str, Any]:
    """GET /readyz without credentials. Who answers is judged elsewhere: here no certificate is verified or trusted."""
    import ssl  # noqa: PLC0415 - slow to import, and most calls ask no API

    started = time.monotonic()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    status, error = None, None
    try:
        name, port, path = ready_url(url)
        with socket.create_connection((name, port), timeout) as plain, context.wrap_socket(plain) as stream:
            authority = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
            stream.sendall(f"GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n".encode("ascii"))
            status = parse_status(stream.recv(512))
        error = None if status is not None else "the answer is not HTTP"
    except (OSError, ValueError) as exc:
        error = str(exc) or type(exc).__name__
    return {"status": status, "error": error, "latency_ms": round((time.monotonic() - started) * 1000)}


def arp_question(mac: bytes, address: bytes) -> bytes:
    """An ARP probe (RFC 5227): who has this address? The sender's address is 0.0.0.0, so no cache is changed."""
    ethernet = b"\xff" * 6 + mac + struct.pack("!H", ETH_P_ARP)
    return ethernet + struct.pack("!HHBBH", 1, ETH_P_IP, 6, 4, 1) + mac + b"\0" * 4 + b"\0" * 6 + address


def parse_arp_answer(frame: bytes, address: bytes) -> str | None:
    """The MAC that answered for the address, from an Ethernet frame."""
    if len(frame) < 42 or frame[12:14] != b"\x08\x06" or frame[20:22] != b"\x00\x02" or frame[28:32] != address:
        return None
    return ":".join(f"{octet:02x}" for octet in frame[22:28])


def probe_arp(address: str, interface: str, mac: str) -> dict[str, Any]:
    """Ask the segment who has the address; the kernel's own ARP table is neither used nor changed."""
    wanted = socket.inet_aton(address)
    own = bytes.fromhex(mac.replace(":", ""))
    result: dict[str, Any] = {"address": address, "interface": interface, "answered": False, "mac": None, "error": None}
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP)) as raw:
            raw.bind((interface, ETH_P_ARP))
            for _attempt in range(ARP_TRIES):
                raw.send(arp_question(own, wanted))
                found = _await(raw, ARP_WAIT, lambda frame: parse_arp_answer(frame, wanted))
                if found:
                    return dict(result, answered=True, mac=found)
    except OSError as exc:
        return dict(result, error=str(exc))
    return result


def _await(raw: socket.socket, seconds: float, judge: Callable[[bytes], str | None]) -> str | None:
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        raw.settimeout(left)
        try:
            found = judge(raw.recv(2048))
        except socket.timeout:
            return None
        if found:
            return found
    return None


def parse_vrrp(packet: bytes) -> dict[str, Any] | None:
    """An IPv4 packet with a VRRP advertisement, version 2 or 3."""
    header = (packet[0] & 15) * 4 if packet else 0
    if len(packet) < header + 8 or header < 20 or packet[9] != VRRP:
        return None
    kind, vrid, priority, count = packet[header : header + 4]
    body = packet[header + 8 : header + 8 + 4 * count]
    if kind & 15 != 1 or kind >> 4 not in (2, 3):
        return None
    addresses = [socket.inet_ntoa(body[i : i + 4]) for i in range(0, len(body) - 3, 4)]
    return {"source": socket.inet_ntoa(packet[12:16]), "vrid": vrid, "priority": priority, "vip": addresses}


def listen_vrrp(seconds: float, addresses: list[str]) -> list[dict[str, Any]]:
    """Who speaks VRRP to this host, by multicast or unicast. A firewall does not hide it from a packet socket."""
    # Classic BPF: keep IPv4 packets of protocol 112, so that a busy host does not wake us for each packet.
    program = struct.pack("HBBI" * 4, 0x30, 0, 0, 9, 0x15, 0, 1, VRRP, 6, 0, 0, 0xFFFF, 6, 0, 0, 0)
    code = ctypes.create_string_buffer(program)
    heard: dict[tuple[str, int], dict[str, Any]] = {}
    deadline = time.monotonic() + seconds
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP)) as raw, _members(addresses):
            raw.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 4, ctypes.addressof(code)))
            while (left := deadline - time.monotonic()) > 0:
                raw.settimeout(left)
                advert = parse_vrrp(raw.recv(2048))
                if advert:
                    heard[(advert["source"], advert["vrid"])] = advert
    except OSError:
        pass  # Time is up, or packet sockets are not allowed here: what was heard is the answer.
    return [heard[key] for key in sorted(heard)]


def _members(addresses: list[str]) -> socket.socket:
    """A socket that has joined VRRP's multicast group on every address, so that switches send it here."""
    member = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for address in addresses:
        try:
            group = socket.inet_aton(VRRP_GROUP) + socket.inet_aton(address)
            member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        except OSError:
            continue
    return member
