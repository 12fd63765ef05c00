"""The filters of role etcd, as templates call them."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.quorum.kubeadm.plugins.filter.etcd_environment import FilterModule

FILTERS = FilterModule().filters()


def test_the_file_of_a_member() -> None:
    text = FILTERS["etcd_environment"]({"name": "etcd1", "address": "192.0.2.31", "profile": "high_latency"})
    assert 'ETCD_NAME="etcd1"\n' in text
    assert 'ETCD_ELECTION_TIMEOUT="2500"\n' in text


def test_values_that_do_not_fit_stop_the_template() -> None:
    with pytest.raises(AnsibleFilterError, match="less than 5 heartbeats"):
        FILTERS["etcd_environment"]({"name": "etcd1", "address": "192.0.2.31", "heartbeat_ms": 900})


def test_members_of_a_new_cluster() -> None:
    assert FILTERS["etcd_peer_urls"]({"etcd1": "192.0.2.31", "etcd2": "2001:db8::2"}) == {
        "etcd1": "https://192.0.2.31:2380",
        "etcd2": "https://[2001:db8::2]:2380",
    }
