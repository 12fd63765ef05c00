"""Certificates as a host reads them, and as the controller understands them: real files, real listeners."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.action.certificate_info import read
from ansible_collections.quorum.kubeadm.plugins.module_utils import certificate_host as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_places import Place, places
from tests.integration.certificates import Authority, Pair
from tests.unit.plugins.module_utils.fake_host import FakeHost

NAME, ADDRESS, VIP = "cp1", "192.0.2.21", "192.0.2.10"
NAMES = (NAME, ADDRESS, VIP)
PKI = "/etc/kubernetes/pki"
KUBELET = "/var/lib/kubelet/pki"
YEAR, DECADE = timedelta(days=365), timedelta(days=3650)


def kubeconfig(ca_pem: str, user: str) -> str:
    return (
        "apiVersion: v1\nclusters:\n- cluster:\n"
        f"    certificate-authority-data: {_b64(ca_pem)}\n    server: https://192.0.2.10:6443\n"
        "  name: k\ncontexts:\n- context:\n    cluster: k\n    user: u\n  name: c\ncurrent-context: c\n"
        f"kind: Config\nusers:\n- name: u\n  user:\n{user}"
    )


def inside(pair: Pair) -> str:
    return f"    client-certificate-data: {_b64(pair.cert_pem)}\n    client-key-data: {_b64(pair.key_pem)}\n"


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class World:
    """A control plane's files below a directory, made by CAs of its own; what is served comes from a table."""

    def __init__(self, root: Path) -> None:
        self.host = FakeHost(root)
        self.pki = Path(self.host.real(PKI))
        self.ca = Authority(self.pki, life=DECADE)
        self.etcd = Authority(self.pki / "etcd", "etcd-ca", life=DECADE)
        self.front = Authority(self.pki, "front-proxy-ca", "front-proxy-ca", life=DECADE)
        self.pairs = {
            "apiserver": self.ca.issue("apiserver", "kube-apiserver", names=NAMES, life=YEAR),
            "apiserver-kubelet-client": self.ca.issue("apiserver-kubelet-client", "client", life=YEAR),
            "front-proxy-client": self.front.issue("front-proxy-client", "client", life=YEAR),
        }
        for name in ("server", "peer", "healthcheck-client"):
            self.pairs[f"etcd-{name}"] = self.etcd.issue(name, NAME, names=NAMES, life=YEAR)
        client = self.etcd.issue("client", "client", life=YEAR)
        for file, end in ((client.cert, "crt"), (client.key, "key")):
            file.rename(self.pki / f"apiserver-etcd-client.{end}")
        for name in ("admin.conf", "controller-manager.conf", "scheduler.conf"):
            self.conf(name, kubeconfig(self.ca.pair.cert_pem, inside(self.spare(name))))
        kubelet = self.spare("kubelet")
        self.private(f"{KUBELET}/kubelet-client-2026.pem", kubelet.cert_pem + kubelet.key_pem)
        Path(self.host.real(KUBELET), "kubelet-client-current.pem").symlink_to("kubelet-client-2026.pem")
        own = f"    client-certificate: {KUBELET}/kubelet-client-current.pem\n"
        own += f"    client-key: {KUBELET}/kubelet-client-current.pem\n"
        self.conf("kubelet.conf", kubeconfig(self.ca.pair.cert_pem, own))
        # What servers have in memory does not change with their files.
        self.memory = {name: pair.cert_pem for name, pair in self.pairs.items()}
        self.served = {6443: "apiserver", 2379: "etcd-server", 2380: "etcd-peer"}
        self.asked: list[tuple[str, int, Any]] = []

    def spare(self, name: str, authority: Authority | None = None) -> Pair:
        """A pair that does not lie where a certificate is looked for."""
        return (authority or self.ca).issue(f"../spare/{name}", name, organization="o", life=YEAR)

    def conf(self, name: str, text: str) -> None:
        self.private(f"/etc/kubernetes/{name}", text)

    def private(self, path: str, text: str) -> None:
        self.host.write(path, text).chmod(0o600)

    def handshake(self, address: str, port: int, client: Any, timeout: float) -> str:
        self.asked.append((address, port, client))
        if port not in self.served:
            raise ConnectionRefusedError(111, "Connection refused")
        return self.memory[self.served[port]]

    def raw(self, *roles: str) -> list[dict[str, Any]]:
        return subject.read_all(self.host, self.places(*roles), ADDRESS, 1.0, self.handshake)

    def places(self, *roles: str) -> tuple[Place, ...]:
        return places(roles or ("control_plane", "etcd"))

    def read(self, *roles: str) -> dict[str, dict[str, Any]]:
        """As certificate_info returns them, by name."""
        given: dict[str, Any] = {"roles": roles or ("control_plane", "etcd"), "name": NAME, "address": ADDRESS}
        given |= {"api_names": [VIP], "api_port": 6443}
        told = json.loads(json.dumps(self.raw(*roles)))
        found = read(given, told, datetime.now(timezone.utc))["certificates"]
        return {one["name"]: one for one in found}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_control_plane_in_order(world: World) -> None:
    found = world.read()
    assert {one["signed"] for one in found.values() if one["signer"] and one["not_after"]} == {"yes"}
    assert {one["trusts"] for name, one in found.items() if name.endswith(".conf")} == {"yes"}
    assert {one["key_state"] for one in found.values() if one["kind"] in ("ca", "leaf")} == {"own"}
    assert {one["key_mode"] for one in found.values() if one["path"]} == {"0600"}
    assert not [one for one in found.values() if one["lacks"]]
    api = found["apiserver"]
    assert (api["state"], api["served"], api["served_serial"]) == ("present", "same", api["serial"])
    assert (api["subject"], api["issuer"]) == ("CN=kube-apiserver", "CN=kubernetes")
    assert api["sans"] == [NAME, ADDRESS, VIP]
    assert (api["key_algorithm"], api["key_size"]) == ("ECDSA", 256)
    assert len(api["sha256"]) == 64
    assert 364 * 86400 < api["seconds_left"] <= 365 * 86400
    assert api["signer_not_after"] == found["ca"]["not_after"]
    assert found["kubelet.conf"]["uses"] == found["kubelet-client"]["path"]
    assert found["kubelet.conf"]["not_after"] == ""
    # What a host may well be without is not in the list.
    assert not {"super-admin.conf", "kubelet-serving", "kubelet-serving-self-signed"} & set(found)


def test_openssl_says_the_same(world: World) -> None:
    """Another reader of the same file."""
    path = world.pairs["apiserver"].cert
    argv = ["openssl", "x509", "-noout", "-serial", "-enddate", "-dateopt", "iso_8601", "-fingerprint", "-sha256"]
    text = subprocess.run([*argv, "-in", path], capture_output=True, text=True, check=True).stdout
    serial, end, print_ = (line.partition("=")[2] for line in text.splitlines())
    api = world.read()["apiserver"]
    assert int(api["serial"], 16) == int(serial, 16)
    assert api["not_after"] == end.replace(" ", "T")
    assert api["sha256"] == print_.replace(":", "").lower()


def test_no_private_key_leaves_the_host(world: World) -> None:
    """Not even from a damaged file in which a certificate was cut off before a key."""
    pair = world.pairs["apiserver"]
    whole = "-----BEGIN CERTIFICATE-----\nMIIB\n" + pair.key_pem + pair.cert_pem
    pair.cert.write_text(whole)
    world.conf("scheduler.conf", kubeconfig(world.ca.pair.cert_pem, inside(pair)))
    text = json.dumps([world.raw(), world.raw("etcd"), world.read()])
    keys = [path.read_text() for path in Path(world.host.root).rglob("*.key")]
    assert len(keys) > 8
    for key in keys:
        body = "".join(key.splitlines()[1:-1])
        assert body[:30] not in text.replace("\\n", "")
    assert "PRIVATE" not in text


@pytest.mark.parametrize(
    ("content", "state", "found"),
    [
        (b"", "damaged", "there is no whole certificate"),
        (b"\xff\xfe\x00nonsense", "damaged", "there is no whole certificate"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB", "damaged", "there is no whole certificate"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "damaged", ""),
        (b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", "damaged", ""),
    ],
)
@pytest.mark.parametrize("file", [f"{PKI}/apiserver.crt", f"{PKI}/etcd/ca.crt", f"{KUBELET}/kubelet-client-2026.pem"])
def test_damaged_files_are_told(world: World, file: str, content: bytes, state: str, found: str) -> None:
    world.host.write(file, content)
    names = {"apiserver.crt": "apiserver", "ca.crt": "etcd-ca", "kubelet-client-2026.pem": "kubelet-client"}
    one = world.read()[names[Path(file).name]]
    assert one["state"] == state
    assert found in one["found"]
    assert one["found"]
    assert one["not_after"] == ""


def test_any_byte_of_a_certificate_may_be_wrong(world: World) -> None:
    """Every fifth byte flipped in turn: a value, or damaged, never an exception; and no other one counts as signed."""
    pair = world.pairs["front-proxy-client"]
    der = ssl.PEM_cert_to_DER_cert(pair.cert_pem)
    signed = []
    for at in range(0, len(der), 5):
        spoiled = der[:at] + bytes([der[at] ^ 0x55]) + der[at + 1 :]
        pair.cert.write_text(ssl.DER_cert_to_PEM_cert(spoiled))
        one = world.read("control_plane")["front-proxy-client"]
        assert one["state"] in ("present", "damaged")
        signed.append(one["signed"])
    assert len(signed) > 50
    assert "yes" not in signed


def test_absent_and_unreadable(world: World) -> None:
    world.pairs["apiserver"].cert.unlink()
    world.pairs["etcd-peer"].cert.unlink()
    world.pairs["etcd-peer"].cert.mkdir()
    Path(world.host.real(f"{KUBELET}/kubelet-client-2026.pem")).unlink()
    found = world.read()
    assert found["apiserver"]["state"] == "absent"
    assert (found["etcd-peer"]["state"], found["etcd-peer"]["found"]) == ("unreadable", "it is no file")
    # A link that leads nowhere, and the kubeconfig that names it.
    assert found["kubelet-client"]["state"] == "absent"
    assert found["kubelet.conf"]["state"] == "damaged"
    assert "kubelet-client-current.pem" in found["kubelet.conf"]["found"]


def test_a_name_proves_nothing(world: World, tmp_path: Path) -> None:
    """Another CA of the same name."""
    other = Authority(tmp_path / "other", life=DECADE)
    pair = other.issue("apiserver", "kube-apiserver", names=NAMES)
    world.pairs["apiserver"].cert.write_text(pair.cert_pem)
    world.pairs["apiserver"].key.write_text(pair.key_pem)
    world.conf("admin.conf", kubeconfig(other.pair.cert_pem, inside(world.spare("admin"))))
    found = world.read()
    api = found["apiserver"]
    assert (api["issuer"], api["signed"], api["key_state"]) == ("CN=kubernetes", "no", "own")
    assert api["signer_not_after"] == ""
    assert (found["admin.conf"]["signed"], found["admin.conf"]["trusts"]) == ("yes", "no")
    assert found["apiserver-kubelet-client"]["signed"] == "yes"


def test_without_a_ca_nothing_can_be_said(world: World) -> None:
    (world.pki / "ca.crt").unlink()
    found = world.read()
    assert found["ca"]["state"] == "absent"
    assert (found["apiserver"]["signed"], found["admin.conf"]["trusts"]) == ("unknown", "unknown")


def test_a_bundle_of_a_rotation(world: World, tmp_path: Path) -> None:
    """Both CAs sign; each leaf ends with its own."""
    new = Authority(tmp_path / "new", life=2 * DECADE)
    old = world.ca.pair.cert_pem
    world.ca.pair.cert.write_text(old + new.pair.cert_pem)
    new.issue("../spare/scheduler", "scheduler", life=YEAR)
    pair = Pair(tmp_path / "spare/scheduler.crt", tmp_path / "spare/scheduler.key")
    world.conf("scheduler.conf", kubeconfig(old, inside(pair)))
    found = world.read()
    assert len(found["ca"]["bundle"]) == 2
    assert (found["scheduler.conf"]["signed"], found["scheduler.conf"]["trusts"]) == ("yes", "yes")
    assert found["scheduler.conf"]["signer_not_after"] == found["ca"]["not_after"]
    assert found["apiserver"]["signed"] == "yes"
    assert found["apiserver"]["signer_not_after"] < found["ca"]["not_after"]


def test_keys(world: World) -> None:
    world.pairs["apiserver"].key.write_text(world.pairs["etcd-peer"].key_pem)
    world.pairs["apiserver-kubelet-client"].key.write_text("nonsense")
    world.pairs["front-proxy-client"].key.unlink()
    world.pairs["etcd-server"].key.chmod(0o644)
    (world.pki / "ca.key").unlink()
    found = world.read()
    assert found["apiserver"]["key_state"] == "other"
    assert found["apiserver-kubelet-client"]["key_state"] == "unusable"
    assert found["apiserver-kubelet-client"]["key_found"]
    assert (found["front-proxy-client"]["key_state"], found["front-proxy-client"]["key_mode"]) == ("absent", "")
    assert (found["etcd-server"]["key_state"], found["etcd-server"]["key_mode"]) == ("own", "0644")
    assert found["ca"]["key_state"] == "absent"


def test_what_is_served(world: World) -> None:
    world.served = {6443: "apiserver-kubelet-client", 2380: "etcd-peer", 10259: "front-proxy-client"}
    found = world.read()
    assert (found["apiserver"]["served"], found["etcd-peer"]["served"]) == ("other", "same")
    assert found["apiserver"]["served_serial"] == found["apiserver-kubelet-client"]["serial"]
    assert (found["etcd-server"]["served"], found["etcd-server"]["served_found"]) == (
        "not listening", "Connection refused",
    )  # fmt: skip
    assert (found["scheduler-serving"]["served"], found["scheduler-serving"]["state"]) == ("memory", "memory")
    assert found["scheduler-serving"]["not_after"] == found["front-proxy-client"]["not_after"]
    assert found["controller-manager-serving"]["served"] == "not listening"


def test_ports_are_asked_at_the_own_address_first_and_etcd_as_a_client(world: World) -> None:
    world.read()
    by_port: dict[int, list[str]] = {}
    for address, port, _client in world.asked:
        by_port.setdefault(port, []).append(address)
    assert by_port[6443] == [ADDRESS]
    assert by_port[10257] == [ADDRESS, "127.0.0.1"]
    clients = {port: client for _address, port, client in world.asked}
    healthcheck = world.pairs["etcd-healthcheck-client"]
    assert clients[2379] == (str(healthcheck.cert), str(healthcheck.key))
    assert clients[6443] is None


def test_the_kubelet_s_serving_certificate(world: World) -> None:
    """One that it signed itself is a leftover beside one that the cluster signed."""
    alone = Authority(Path(world.host.real(KUBELET)), "cp1-ca@1", "signer")
    own = alone.issue("kubelet", "cp1@1", names=[NAME])
    own.cert.write_text(own.cert_pem + alone.pair.cert_pem)
    world.memory["own"] = own.cert_pem
    world.served[10250] = "own"
    found = world.read()
    mine = found["kubelet-serving-self-signed"]
    assert (mine["signed"], mine["served"], mine["signer"]) == ("yes", "same", "")
    assert "kubelet-serving" not in found
    pair = world.spare("serving")
    world.private(f"{KUBELET}/kubelet-server-current.pem", pair.cert_pem + pair.key_pem)
    found = world.read()
    assert "kubelet-serving-self-signed" not in found
    assert (found["kubelet-serving"]["signed"], found["kubelet-serving"]["served"]) == ("yes", "other")
    assert found["kubelet-serving"]["lacks"] == [NAME, ADDRESS]


@pytest.mark.parametrize(
    ("text", "state", "found"),
    [
        ("{", "damaged", "cannot be understood"),
        ("", "damaged", "empty"),
        (kubeconfig("", "    token: abc\n"), "present", ""),
        (kubeconfig("", f"    client-certificate-data: {_b64('nonsense')}\n"), "damaged", "no whole one"),
        (kubeconfig("", "    client-certificate-data: '%%%'\n"), "damaged", "not base64"),
        (kubeconfig("", "    client-certificate: ../gone.pem\n"), "damaged", "/etc/kubernetes/../gone.pem"),
    ],
)
def test_kubeconfigs_that_are_odd(world: World, text: str, state: str, found: str) -> None:
    world.conf("admin.conf", text)
    one = world.read()["admin.conf"]
    assert (one["state"], one["not_after"]) == (state, "")
    assert found in one["found"]
    assert "abc" not in json.dumps(one["found"])


def test_a_kubelet_conf_with_a_certificate_inside_is_one(world: World) -> None:
    world.conf("kubelet.conf", kubeconfig(world.ca.pair.cert_pem, inside(world.spare("inline"))))
    one = world.read()["kubelet.conf"]
    assert (one["uses"], one["signed"], one["subject"]) == ("", "yes", "CN=inline,O=o")


def test_a_worker_reads_few(world: World) -> None:
    assert list(world.read("worker")) == ["ca", "kubelet.conf", "kubelet-client"]


def test_the_metrics(world: World) -> None:
    world.served[6443] = "etcd-peer"
    world.pairs["front-proxy-client"].key.unlink()
    given = {"roles": ["control_plane", "etcd"], "name": NAME, "address": ADDRESS, "api_names": [VIP], "api_port": 6443}
    told = read(given, world.raw(), datetime.now(timezone.utc))
    found = {one["name"]: one for one in told["certificates"]}
    lines = told["metrics"].splitlines()
    end = int(datetime.fromisoformat(found["apiserver"]["not_after"]).timestamp())
    labels = f'name="apiserver",kind="leaf",path="{PKI}/apiserver.crt"'
    assert f"quorum_kubeadm_certificate_not_after_seconds{{{labels}}} {end}" in lines
    assert f'quorum_kubeadm_certificate_served_is_file{{{labels},port="6443"}} 0' in lines
    assert f"quorum_kubeadm_certificate_sound{{{labels}}} 1" in lines
    proxy = labels.replace("apiserver", "front-proxy-client")
    assert f"quorum_kubeadm_certificate_sound{{{proxy}}} 0" in lines
    peer = labels.replace("apiserver", "etcd-peer").replace("pki/etcd-peer", "pki/etcd/peer")
    assert f'quorum_kubeadm_certificate_served_is_file{{{peer},port="2380"}} 1' in lines
    assert len([line for line in lines if line.startswith("# TYPE")]) == 3
    assert told["metrics"].endswith("\n")
    assert read(given, world.raw(), datetime.now(timezone.utc) + timedelta(days=1))["metrics"] == told["metrics"]


@contextlib.contextmanager
def listener(answer: str, pair: Pair | None = None) -> Iterator[int]:
    """Somebody who speaks TLS, says something else, or says nothing."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)

        def serve() -> None:
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    plain, _address = server.accept()
                    with plain:
                        if pair is not None:
                            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                            context.load_cert_chain(pair.cert, pair.key)
                            context.wrap_socket(plain, server_side=True).close()
                        elif answer == "text":
                            plain.sendall(b"220 hello\r\n")
                        else:
                            stop.wait(2)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        stop.set()
        thread.join()


def test_a_handshake_brings_what_is_served_though_it_has_expired(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("server", "x", expired=True)
    with listener("tls", pair) as port:
        assert subject.handshake("127.0.0.1", port, None, 2.0).strip() == pair.cert_pem.strip()


@pytest.mark.parametrize(("answer", "found"), [("text", "WRONG_VERSION_NUMBER"), ("silence", "timed out")])
def test_who_listens_without_tls_shows_no_certificate(answer: str, found: str) -> None:
    with listener(answer) as port, pytest.raises(subject.NoCertificateError, match=found):
        subject.handshake("127.0.0.1", port, None, 0.3)


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    told = subject.read_all(FakeHost(tmp_path), [Place("x", "memory", port=port)], "", 0.5)
    assert told[0]["served"]["state"] == "silent"
    assert told[0]["served"]["found"] == "Connection refused"
