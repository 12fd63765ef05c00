# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab for all steps: each goes on where the one before it ended."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import nodes
from lab import settings as lab_settings
from tests.e2e.support import Site
from tests.lanes import KUBE_VERSION_BEFORE, TEST_LAB

# What is done to the one cluster, in this order.
ORDER = ("test_site", "test_upgrade", "test_replace")
MACHINES = ("lb1", "lb2", "cp1", "cp2", "cp3", "w1", "w2")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files in their order; within a file the tests stay as they are."""
    items.sort(key=lambda item: ORDER.index(item.path.stem) if item.path.stem in ORDER else len(ORDER))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Seven blank machines, for the version from which the last of the tests upgrades."""
    # Of two processors: one that works hard leaves the others something, as machines do.
    settings = lab_settings.load({"LAB_CPUS": "1", **os.environ, "LAB_NAME": TEST_LAB})
    made = Site(settings, MACHINES, Path(tmp_path_factory.mktemp("e2e")), KUBE_VERSION_BEFORE)
    made.cluster.recreate()
    yield made
    nodes.down(settings)


@pytest.fixture(autouse=True)
def steps(request: pytest.FixtureRequest) -> None:
    """A step cannot go on from one that failed, unless E2E_GO_ON is set by somebody who wants to see them all."""
    if request.session.testsfailed and not os.environ.get("E2E_GO_ON"):
        pytest.skip("an earlier step failed")
