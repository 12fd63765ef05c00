"""The judge of certificates: thresholds, issuers, what is served, keys, and CAs that end first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_judge import Limits, judge
from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_seen import Seen
from ansible_collections.quorum.kubeadm.plugins.module_utils.verify import Row
from tests.unit.certificate_world import NOW, at, cluster, host, spoil

LIMITS = Limits(NOW)


def rows(seen: list[Seen], **limits: Any) -> list[Row]:
    return judge(seen, replace(LIMITS, **limits))


def the_row(on: str, name: str, **changes: Any) -> Row:
    """The only row, when one certificate of a cluster in order is changed like this."""
    (row,) = rows(spoil(cluster(), on, name, **changes))
    assert (row.check, row.subject) == (name, on)
    assert row.next_step
    return row


def test_nothing_is_said_of_a_cluster_in_order() -> None:
    assert rows(cluster()) == []


@pytest.mark.parametrize(
    ("days", "status", "found"),
    [
        (30.1, "", ""),
        (29.9, "warn", "ends in 30 days"),
        (7.1, "warn", "ends in 7 days"),
        (6.9, "fail", "ends in 7 days"),
        (1.5, "fail", "ends in 36 hours"),
        (0.04, "fail", "ends in 1 hours"),
        (-0.5, "fail", "ended 12 hours ago"),
        (-400, "fail", "ended 400 days ago"),
    ],
)
@pytest.mark.parametrize("name", ["apiserver", "etcd-peer", "admin.conf", "kubelet-client"])
def test_expiry_by_thresholds(name: str, days: float, status: str, found: str) -> None:
    seen = spoil(cluster(), "cp1", name, not_after=at(days), not_before=at(days - 365))
    assert [(row.check, row.subject, row.status) for row in rows(seen)] == ([(name, "cp1", status)] if status else [])
    assert all(row.found == f"{found} on {at(days)}" for row in rows(seen))


def test_thresholds_are_the_users() -> None:
    seen = spoil(cluster(), "cp1", "apiserver", not_after=at(50))
    assert [row.status for row in rows(seen, warn_days=60)] == ["warn"]
    assert [row.status for row in rows(seen, warn_days=60, fail_days=55)] == ["fail"]
    assert rows(seen) == []


def test_the_kubelet_renews_short_lived_ones_in_time() -> None:
    """A day's certificate is no reason to worry as long as more than a tenth of it is left."""
    day = {"not_before": at(-0.8), "not_after": at(0.2)}
    assert rows(spoil(cluster(), "w1", "kubelet-client", **day)) == []
    late = the_row("w1", "kubelet-client", not_before=at(-0.92), not_after=at(0.08))
    assert late.status == "warn"
    over = the_row("w1", "kubelet-client", not_before=at(-0.96), not_after=at(0.04))
    assert over.status == "fail"
    assert "restart the kubelet" in over.next_step
    assert "let the node join again" in over.next_step


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("apiserver", "renew_certificates"),
        ("kubelet-client", "restart the kubelet"),
        ("kubelet.conf", "kubeadm init phase kubeconfig"),
    ],
)
def test_who_can_renew_it_is_told(name: str, words: str) -> None:
    assert words in the_row("cp1", name, not_after=at(3)).next_step


def test_the_client_of_an_external_etcd_is_made_where_the_ca_is() -> None:
    seen = spoil(host("cp1", "control_plane"), "cp1", "apiserver-etcd-client", not_after=at(3))
    (row,) = rows(seen)
    assert "make it on an etcd machine" in row.next_step


def test_what_is_not_valid_yet() -> None:
    row = the_row("cp1", "apiserver", not_before=at(0.5))
    assert (row.status, row.found) == ("fail", f"is valid from {at(0.5)} on")
    assert "clocks" in row.next_step


def test_a_ca_that_ends_first_makes_renewal_useless() -> None:
    """kubeadm would make a leaf of a year all the same."""
    ends = {"not_after": at(20), "not_before": at(-3630)}
    seen = spoil(spoil(cluster(), "cp1", "etcd-ca", **ends), "cp1", "etcd-server", signer_not_after=at(20))
    found = {(row.check, row.status): row for row in rows(seen)}
    assert set(found) == {("etcd-ca", "warn"), ("etcd-server", "fail")}
    row = found["etcd-server", "fail"]
    assert row.found == f"ends in 20 days with its CA etcd-ca on {at(20)}: renewal cannot help"
    assert "replace the CA first" in row.next_step


def test_a_leaf_of_an_expired_ca_is_over_though_it_says_it_is_valid() -> None:
    row = the_row("cp1", "apiserver", signer_not_after=at(-1.5))
    assert row.status == "fail"
    assert row.found.startswith("ended 36 hours ago with its CA ca")


def test_a_leaf_that_is_due_long_before_its_ca_is_simply_renewed() -> None:
    row = the_row("cp1", "apiserver", not_after=at(20), signer_not_after=at(200))
    assert (row.status, row.next_step) == ("warn", "run renew_certificates")


@pytest.mark.parametrize(
    ("days", "status", "found"),
    [
        (400, "", ""),
        (300, "warn", "the CA ends in 300 days"),
        (6, "fail", "the CA ends in 6 days"),
        (-3, "fail", "the CA ended 3 days ago"),
    ],
)
def test_a_ca_is_told_a_leaf_s_life_ahead(days: float, status: str, found: str) -> None:
    seen = spoil(cluster(), "cp1", "front-proxy-ca", not_after=at(days))
    told = rows(seen)
    assert [row.status for row in told] == ([status] if status else [])
    assert all(row.found.startswith(found) for row in told)


def test_a_ca_that_signs_for_as_long_as_it_lives_is_no_warning_for_ever() -> None:
    """Leaves of ten years under a CA of ten: what counts is the year before its end."""
    long = {"not_before": at(-100), "not_after": at(3550)}
    assert rows(spoil(cluster(), "cp1", "front-proxy-client", **long)) == []


def test_what_another_ca_has_signed_under_the_same_name() -> None:
    row = the_row("cp2", "etcd-peer", signed="no", issuer="CN=etcd-ca")
    assert row.status == "fail"
    assert row.found == "was not signed by the CA etcd-ca of this host, it says CN=etcd-ca"


def test_a_kubeconfig_that_trusts_another_ca() -> None:
    row = the_row("cp1", "scheduler.conf", trusts="no")
    assert (row.status, row.found) == ("fail", "/etc/kubernetes/scheduler.conf trusts another CA than ca")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("apiserver", "restart kube-apiserver, if it does not take it by itself within a minute"),
        ("kubelet-serving-self-signed", "restart kubelet"),
    ],
)
def test_served_is_not_the_file(name: str, words: str) -> None:
    row = the_row("cp1", name, served="other", served_serial="beef")
    assert row.status == "fail"
    assert "serves another one, serial beef, not the file's" in row.found
    assert row.next_step == words


@pytest.mark.parametrize("served", ["not listening", "no certificate"])
@pytest.mark.parametrize("name", ["apiserver", "scheduler-serving"])
def test_a_silent_port_is_told_and_fails_nothing(name: str, served: str) -> None:
    row = the_row("cp1", name, served=served, served_found="Connection refused")
    assert row.status == "warn"
    assert "(Connection refused)" in row.found


@pytest.mark.parametrize("mode", ["0644", "0640", "0604", "0700"])
def test_a_key_that_others_may_read(mode: str) -> None:
    row = the_row("cp1", "apiserver", key_mode=mode)
    assert (row.status, row.found) == ("fail", f"/etc/kubernetes/pki/apiserver.key has the mode {mode}")
    assert row.next_step.startswith("chmod 0600 /etc/kubernetes/pki/apiserver.key")


def test_less_than_0600_is_fine_and_etcd_s_group_reads_its_two_keys() -> None:
    assert rows(spoil(cluster(), "cp1", "admin.conf", key_mode="0400")) == []
    external = host("etcd1", "etcd")
    assert rows(spoil(external, "etcd1", "etcd-server", key_mode="0640")) == []
    (row,) = rows(spoil(external, "etcd1", "etcd-server", key_mode="0644"))
    assert row.next_step.startswith("chmod 0640 ")
    (row,) = rows(spoil(external, "etcd1", "etcd-ca", key_mode="0640"))
    assert row.status == "fail"


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("absent", "is absent"),
        ("other", "is not its key"),
        ("unusable", "cannot be used: NO_START_LINE"),
    ],
)
def test_keys_that_do_not_work(state: str, found: str) -> None:
    row = the_row("cp1", "apiserver", key_state=state, key_found="NO_START_LINE")
    assert (row.status, row.found) == ("fail", f"/etc/kubernetes/pki/apiserver.key {found}")


def test_a_ca_s_key_may_be_elsewhere_but_not_another_s() -> None:
    assert rows(spoil(cluster(), "cp1", "ca", key_state="absent", key_mode="")) == []
    assert the_row("cp1", "ca", key_state="other").status == "fail"


def undated(**changes: Any) -> dict[str, Any]:
    return {"not_after": "", "not_before": "", "signed": "", "signer_not_after": "", "bundle": (), **changes}


@pytest.mark.parametrize("state", ["absent", "unreadable", "damaged"])
@pytest.mark.parametrize("name", ["apiserver", "etcd-ca", "admin.conf", "kubelet-client"])
def test_what_cannot_be_read(name: str, state: str) -> None:
    row = the_row("cp1", name, **undated(state=state, found="Input/output error", served=""))
    assert row.status == "fail"
    assert f"is {state}" in row.found
    assert ("Input/output error" in row.found) == (state != "absent")


def test_a_kubeconfig_without_a_certificate_is_told() -> None:
    assert the_row("cp1", "admin.conf", **undated()).status == "warn"
    # The kubelet's names its own.
    path = "/var/lib/kubelet/pki/kubelet-client-current.pem"
    assert rows(spoil(cluster(), "w1", "kubelet.conf", **undated(uses=path))) == []


@pytest.mark.parametrize("name", ["kubelet-serving-self-signed", "controller-manager-serving"])
def test_what_nobody_can_verify_only_warns(name: str) -> None:
    row = the_row("cp1", name, not_after=at(-10))
    assert row.status == "warn"
    assert "restart" in row.next_step


def test_names_that_are_missing() -> None:
    row = the_row("cp1", "apiserver", lacks=("192.0.2.10",))
    assert (row.status, row.found) == ("fail", "is not valid for 192.0.2.10")


def test_a_blank_host_is_one_row() -> None:
    blank = [
        replace(one, **undated(state="memory" if one.kind == "memory" else "absent", served="not listening"))
        for one in host("cp3")
    ]
    (row,) = rows([*cluster(), *blank])
    assert (row.check, row.subject, row.status) == ("certificates", "cp3", "warn")


@pytest.mark.parametrize(("on", "name"), [("w1", "ca"), ("lb1", "haproxy-ca"), ("cp2", "etcd-ca")])
def test_a_host_of_another_cluster(on: str, name: str) -> None:
    seen = [*cluster(), *host("cp3")]
    found = rows(spoil(seen, on, name, bundle=("foreign",)))
    assert [(row.check, row.subject, row.status) for row in found] == [(name, on, "fail")]
    assert "is another CA than that of cp1" in found[0].found


def test_bundles_of_a_rotation_have_one_in_common() -> None:
    assert rows(spoil(cluster(), "cp1", "ca", bundle=("ca-print", "next"))) == []


@given(
    st.floats(-4000, 4000), st.floats(-4000, 4000), st.floats(1, 100), st.floats(0, 1),
    st.sampled_from(["apiserver", "etcd-server", "admin.conf", "front-proxy-client"]),
)  # fmt: skip
def test_no_end_within_the_limits_goes_unseen(own: float, ca: float, warn: float, part: float, name: str) -> None:
    """Whichever ends first, the leaf or its CA: nearer than fail_days fails, farther than warn_days is not told."""
    fail = warn * part
    seen = spoil(host("cp1"), "cp1", name, not_after=at(own), not_before=at(own - 365 * 20), signer_not_after=at(ca))
    told = [row for row in rows(seen, warn_days=warn, fail_days=fail) if "end" in row.found.split()[0]]
    end = min(own, ca)
    # Times are written without fractions of a second.
    if end < fail - 0.001:
        assert [row.status for row in told] == ["fail"]
    if fail + 0.001 < end < warn - 0.001:
        assert len(told) == 1
    if end > warn + 0.001:
        assert told == []
