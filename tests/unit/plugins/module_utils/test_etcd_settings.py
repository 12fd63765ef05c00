"""etcd's constant configuration: safe by default, values that fit together, nothing about other members."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import etcd_settings as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError

BASE: dict[str, Any] = {"name": "etcd1", "address": "192.0.2.31"}


def made(**inputs: Any) -> dict[str, str]:
    return subject.environment(subject.etcd_inputs({**BASE, **inputs}))


def test_the_defaults() -> None:
    values = made()
    assert values["ETCD_LISTEN_CLIENT_URLS"] == "https://192.0.2.31:2379,https://127.0.0.1:2379"
    assert values["ETCD_LISTEN_PEER_URLS"] == values["ETCD_INITIAL_ADVERTISE_PEER_URLS"] == "https://192.0.2.31:2380"
    assert (values["ETCD_CLIENT_CERT_AUTH"], values["ETCD_PEER_CLIENT_CERT_AUTH"]) == ("true", "true")
    assert (values["ETCD_HEARTBEAT_INTERVAL"], values["ETCD_ELECTION_TIMEOUT"]) == ("100", "1000")
    assert values["ETCD_QUOTA_BACKEND_BYTES"] == str(2 << 30)
    assert "http://" not in "".join(values.values())


def test_nothing_tells_of_other_members_and_lost_data_begins_no_cluster() -> None:
    values = made()
    assert "ETCD_INITIAL_CLUSTER" not in values
    assert "ETCD_INITIAL_CLUSTER_TOKEN" not in values
    assert values["ETCD_INITIAL_CLUSTER_STATE"] == "existing"


def test_profiles_and_single_values() -> None:
    values = made(profile="high_latency")
    assert (values["ETCD_HEARTBEAT_INTERVAL"], values["ETCD_ELECTION_TIMEOUT"]) == ("500", "2500")
    values = made(profile="high_latency", election_ms="5000")
    assert (values["ETCD_HEARTBEAT_INTERVAL"], values["ETCD_ELECTION_TIMEOUT"]) == ("500", "5000")


def test_metrics_are_served_where_it_is_said() -> None:
    urls = ["http://127.0.0.1:2381", "http://[2001:db8::1]:2381"]
    assert made(metrics_urls=urls)["ETCD_LISTEN_METRICS_URLS"] == ",".join(urls)
    assert "ETCD_LISTEN_METRICS_URLS" not in made()


def test_an_ipv6_address_has_brackets_in_urls() -> None:
    assert made(address="2001:db8::31")["ETCD_LISTEN_PEER_URLS"] == "https://[2001:db8::31]:2380"


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"heartbeat_ms": 300, "election_ms": 1400}, "less than 5 heartbeats"),
        ({"heartbeat_ms": 300}, "less than 5 heartbeats"),
        ({"heartbeat_ms": 5}, "too short"),
        ({"election_ms": 60000}, "above 50000"),
        ({"quota_mib": 16384}, "not between 64 and 8192"),
        ({"quota_mib": 0}, "not between"),
        ({"profile": "fast"}, "default, high_latency"),
        ({"compaction_mode": "hourly"}, "periodic, revision"),
        ({"compaction_mode": "revision", "compaction_retention": "8h"}, "revisions"),
        ({"compaction_retention": "often"}, "8h"),
        ({"metrics_urls": ["127.0.0.1:2381"]}, "no URLs"),
        ({"extra_env": {"ETCD_NAME": "x"}}, "belongs to the role"),
        ({"extra_env": {"ETCD_LISTEN_METRICS_URLS": "x"}}, "belongs to the role"),
        ({"extra_env": {"ETCD_FORCE_NEW_CLUSTER": True}}, "belongs to the role"),
        ({"extra_env": {"ETCD_INITIAL_CLUSTER": "a=https://a:2380"}}, "belongs to the role"),
        ({"extra_env": {"ETCD_UNSAFE_NO_FSYNC": True}}, "belongs to the role"),
        ({"extra_env": {"ETCD_LOG_LEVEL": "info\nETCD_NAME=x"}}, "one line"),
        ({"extra_env": {"lower": "x"}}, "no variable"),
        ({"heartbeat_ms": "soon"}, "no numbers"),
        ({"heartbeats": 5}, "unknown inputs"),
    ],
)
def test_values_that_do_not_fit_are_refused(inputs: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        made(**inputs)


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(InputError) as caught:
        made(heartbeat_ms=300, quota_mib=9000, compaction_mode="x")
    assert all(word in caught.value.found for word in ("heartbeats", "9000", "etcd_compaction_mode"))


@given(st.integers(10, 60000), st.integers(1, 100000))
def test_what_is_accepted_is_what_etcd_accepts(heartbeat: int, election: int) -> None:
    inputs = subject.etcd_inputs({**BASE, "heartbeat_ms": heartbeat, "election_ms": election})
    assert (not subject.problems(inputs)) == (5 * heartbeat <= election <= 50000)


def test_more_variables_go_in_and_may_replace_what_is_only_recommended() -> None:
    values = made(
        extra_env={"ETCD_LOG_LEVEL": "warn", "ETCD_SNAPSHOT_COUNT": 5000, "GOGC": 80, "ETCD_ENABLE_PPROF": True}
    )
    assert (values["ETCD_LOG_LEVEL"], values["ETCD_SNAPSHOT_COUNT"], values["GOGC"]) == ("warn", "5000", "80")
    assert values["ETCD_ENABLE_PPROF"] == "true"


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=40))
def test_a_value_is_one_line_and_reads_back(value: str) -> None:
    lines = subject.env_file({"ETCD_A": value, "ETCD_B": "b"}).split("\n")
    assert len(lines) == 4
    # Within double quotes a shell and systemd take the same characters for special.
    assert shlex.split(lines[1].replace("\\$", "$").replace("\\`", "`"))[0] == f"ETCD_A={value}"
