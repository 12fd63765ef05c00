# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a kubelet serves its node: Ready, and a Lease that is young by the API's own clock."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_life import is_served, lease_age, lease_ages

NOW = datetime(2026, 1, 1, 12, 0, 41, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("renewed", "age"),
    [
        ("2026-01-01T12:00:00.000000Z", 41.0),
        ("2026-01-01T12:00:40.250000Z", 0.8),
        ("2026-01-01T13:00:00.000000Z", 0.0),
        ("2026-01-01T12:00:00", 41.0),
        ("", None),
        ("yesterday", None),
    ],
)
def test_age(renewed: str, age: float | None) -> None:
    lease = {"metadata": {"name": "w1"}, "spec": {"renewTime": renewed}}
    assert lease_age(lease, NOW) == age
    assert lease_ages([lease], NOW) == {"w1": age}


def test_no_lease_has_no_age() -> None:
    assert lease_age(None, NOW) is None
    assert lease_age({"metadata": {"name": "w1"}}, NOW) is None


@pytest.mark.parametrize(
    ("ready", "age", "served"), [(True, 40.0, True), (True, 40.1, False), (True, None, True), (False, 0.0, False)]
)
def test_served(ready: bool, age: float | None, served: bool) -> None:
    assert is_served(ready, age) is served
