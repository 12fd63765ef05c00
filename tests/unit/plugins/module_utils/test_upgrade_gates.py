"""Certificates and disks before an upgrade."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import upgrade_gates as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.input_types import amount
from ansible_collections.quorum.kubeadm.plugins.module_utils.upgrade_facts import (
    KubeletFacts,
    Space,
    StaticPod,
    UpgradeNode,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
GIB = 1 << 30
SIGNER = ec.generate_private_key(ec.SECP256R1())
APISERVER = "/etc/kubernetes/pki/apiserver.crt"
CLIENT = "/var/lib/kubelet/pki/kubelet-client-current.pem"
CA = "/etc/kubernetes/pki/ca.crt"


def pem(days: float, authority: bool = False, begin: float = -10) -> str:
    """A certificate that ends so many days from now."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(SIGNER.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days=min(begin, days - 1)))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    return builder.sign(SIGNER, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def judged(path: str, text: str) -> list[tuple[str, str]]:
    node = UpgradeNode("cp1", certificates={path: text})
    return [(finding.level, finding.next_step) for finding in subject.judge(node, NOW)]


@pytest.mark.parametrize(
    ("days", "authority", "levels"),
    [
        (-1, False, ["fatal"]),
        (0, False, ["fatal"]),
        (13.9, False, ["warning"]),
        (14, False, []),
        (-1, True, ["fatal"]),
        (29.9, True, ["warning"]),
        (30, True, []),
        (13.9, True, ["warning"]),
    ],
)
def test_the_end_of_a_certificate(days: float, authority: bool, levels: list[str]) -> None:
    assert [level for level, _step in judged(CA if authority else APISERVER, pem(days, authority))] == levels


def test_the_message_says_which_and_when() -> None:
    node = UpgradeNode("cp1", certificates={APISERVER: pem(2.5), CLIENT: pem(-3)})
    found = subject.certificates(node, NOW)
    assert [(one.host, one.check, one.found) for one in found] == [
        ("cp1", "certificate", f"{APISERVER}: the certificate expires on 2026-06-04 00:00 UTC, in 2 days"),
        ("cp1", "certificate", f"{CLIENT}: the certificate expired on 2026-05-29 12:00 UTC"),
    ]
    assert found[0].next_step == "nothing: kubeadm upgrade renews it"
    assert "join again" in found[1].next_step


def test_a_certificate_of_the_future_is_a_clock() -> None:
    ((level, step),) = judged(APISERVER, pem(100, begin=1))
    assert level == "fatal"
    assert "clocks" in step


def test_of_the_cas_of_a_rotation_one_has_to_be_valid() -> None:
    assert judged(CA, pem(-1, True) + pem(1000, True)) == []
    assert [level for level, _step in judged(CA, pem(-2, True) + pem(-1, True))] == ["fatal"]


def test_of_a_chain_the_first_certificate_counts() -> None:
    assert [level for level, _step in judged(APISERVER, pem(-1) + pem(1000, True))] == ["fatal"]


def test_a_damaged_certificate_is_told() -> None:
    text = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    assert [level for level, _step in judged(APISERVER, text)] == ["fatal"]
    assert judged(APISERVER, "") == []


def disks(
    free: float, total: float = 100, own: float | None = None, inodes: int = 900, **kubelet: Any
) -> list[tuple[str, str, str]]:
    """A worker with everything on one disk, or with a disk for /var/lib/kubelet alone (own: free there)."""
    images = Space("/", int(total * GIB), int(free * GIB), 1000, inodes)
    node = images if own is None else Space("/var/lib/kubelet", 50 * GIB, int(own * GIB), 500, 400)
    spaces = {"/var/lib/containerd": images, "/var/lib/kubelet": node, "/var/lib/etcd": images}
    found = subject.disks(UpgradeNode("w1", disks=spaces, kubelet=KubeletFacts(**kubelet)))
    return [(one.level, one.check, one.found) for one in found]


def checks(*args: Any, **more: Any) -> list[str]:
    return [check for _level, check, _found in disks(*args, **more)]


def test_with_the_kubelets_defaults() -> None:
    assert disks(17) == []
    assert checks(16) == ["disk-images"]
    assert checks(15.9) == ["disk-eviction", "disk-images"]
    assert checks(10.9) == ["disk-eviction", "disk-eviction", "disk-images"]
    assert checks(50, inodes=49) == ["disk-eviction", "disk-eviction"]


def test_both_numbers_are_said() -> None:
    config = {"evictionHard": {"imagefs.available": "10Gi"}, "imageGCHighThresholdPercent": 90}
    assert disks(10.5, config=config) == [
        (
            "fatal",
            "disk-eviction",
            "/var/lib/containerd: 10.5 GiB free now, 9.5 GiB after 1.0 GiB of software is staged, and the kubelet "
            "evicts pods below 10.0 GiB (imagefs.available 10Gi)",
        ),
        (
            "fatal",
            "disk-images",
            "/var/lib/containerd is 90 % full, 91 % after 1.0 GiB of software is staged, and the kubelet deletes "
            "images from 90 % on (imageGCHighThresholdPercent)",
        ),
    ]


def test_what_is_configured_replaces_the_defaults_or_is_merged_with_them() -> None:
    off = {"imageGCHighThresholdPercent": 100}
    assert disks(1.2, inodes=1, config={**off, "evictionHard": {"memory.available": "100Mi"}}) == []
    assert disks(1.2, inodes=1, config={**off, "evictionHard": {}}) == []
    merged = {**off, "evictionHard": {"memory.available": "100Mi"}, "mergeDefaultEvictionSettings": True}
    assert len(disks(1.2, inodes=1, config=merged)) == 4
    assert disks(1.2, config={**off, "evictionHard": {"nodefs.available": "100%"}}) == []


def test_the_command_line_overrides_the_configuration() -> None:
    args = ("--eviction-hard=nodefs.available<5Gi,memory.available<1Gi", "--image-gc-high-threshold", "100")
    config = {"evictionHard": {"nodefs.available": "1Gi"}}
    assert checks(5.5, config=config, args=args) == ["disk-eviction"]
    assert checks(6.5, config=config, args=args) == []


def test_a_disk_of_its_own_is_not_filled_by_images() -> None:
    assert checks(60, own=5.5) == []
    assert checks(60, own=4.5) == ["disk-eviction"]


def test_bind_mounts_of_one_disk_are_one_disk() -> None:
    spaces = {path: Space(path, 100 * GIB, 10 * GIB + GIB // 2, 1000, 900) for path in (subject.IMAGES, subject.NODE)}
    limits = KubeletFacts(config={"evictionHard": {"nodefs.available": "10Gi"}, "imageGCHighThresholdPercent": 100})
    assert len(subject.disks(UpgradeNode("w1", disks=spaces, kubelet=limits))) == 1


def test_a_control_plane_needs_more_and_the_caller_may_know_better() -> None:
    spaces = {subject.IMAGES: Space("/", 100 * GIB, 17 * GIB, 1000, 900)}
    plane = UpgradeNode("cp1", disks=spaces, static_pods={"kube-apiserver": StaticPod("", ())})
    assert [one.check for one in subject.judge(plane, NOW)] == ["disk-images"]
    assert subject.judge(UpgradeNode("w1", disks=spaces), NOW) == []
    assert subject.judge(plane, NOW, needed_bytes=0) == []


def test_an_amount_that_cannot_be_judged_is_told() -> None:
    config = {"evictionHard": {"nodefs.available": "0.5Gi"}}
    ((level, check, found),) = disks(50, config=config)
    assert (level, check) == ("warning", "disk-eviction")
    assert "0.5Gi" in found


def test_a_file_system_without_inodes() -> None:
    spaces = {subject.IMAGES: Space("/", 100 * GIB, 50 * GIB, 0, 0), subject.NODE: Space("/", 100 * GIB, 50 * GIB)}
    assert subject.disks(UpgradeNode("w1", disks=spaces)) == []
    assert subject.disks(UpgradeNode("w1")) == []


AMOUNTS = st.sampled_from(["1Gi", "10Gi", "10%", "15%", "0%", "500M"])


@given(st.integers(0, 100), AMOUNTS, st.integers(0, 4))
def test_refused_exactly_when_staging_passes_the_threshold(free: int, least: str, needed: int) -> None:
    space = Space("/", 100 * GIB, free * GIB, 1000, 900)
    config = {"evictionHard": {"imagefs.available": least}, "imageGCHighThresholdPercent": 100}
    node = UpgradeNode("w1", disks={subject.IMAGES: space}, kubelet=KubeletFacts(config=config))
    found = subject.disks(node, needed * GIB)
    assert bool(found) == ((free - needed) * GIB < amount(least, 100 * GIB))
