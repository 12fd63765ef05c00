# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real etcd cluster that loses its majority while it is written to."""

from __future__ import annotations

import time

from tests.faults.etcd_writer import Writer
from tests.integration.etcd_cluster import EtcdCluster
from tests.integration.servers import client_context


def lose_majority(cluster: EtcdCluster, seconds: float = 2) -> Writer:
    """All but the first are killed at once, without a chance to tell anything to it; then it ends as well."""
    context = client_context(cluster.authority.pair, cluster.client)
    writer = Writer(lambda: [one.url for one in cluster.members.values()], context, rate=400, streams=6)
    writer.start()
    time.sleep(seconds)
    for name in list(cluster.members)[1:]:
        cluster.members[name].kill()
    time.sleep(0.5)
    writer.stop()
    cluster.stop()
    return writer
