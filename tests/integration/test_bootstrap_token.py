# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""bootstrap_token against a real API server."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import pytest

from tests.integration.conftest import Run
from tests.integration.servers import Cluster
from tests.integration.support import run_module

LIST = ("-n", "kube-system", "get", "secrets", "--field-selector=type=bootstrap.kubernetes.io/token", "-o", "name")


def token_ids(cluster: Cluster) -> set[str]:
    return {line.rpartition("-")[2] for line in cluster.kubectl(*LIST).split()}


def test_kubeadm_lists_the_token_and_the_api_server_accepts_it(cluster: Cluster, module: Run) -> None:
    result = module("bootstrap_token", ttl_minutes=7)
    assert result["changed"]
    assert re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", result["token"])
    left = datetime.fromisoformat(result["expires"].replace("Z", "+00:00")) - datetime.now(timezone.utc)
    assert timedelta(minutes=6) < left <= timedelta(minutes=7, seconds=2)
    listed = cluster.kubeadm("token", "list")
    line = next(line for line in listed.splitlines() if line.startswith(result["token"]))
    assert result["expires"] in line
    assert "authentication,signing" in line
    assert "quorum.kubeadm" in line
    assert "system:bootstrappers:kubeadm:default-node-token" in line
    as_token = cluster.kubeconfig("token.conf", token=result["token"])
    refused = run_module("cluster_info", {"kubeconfig": str(as_token)})
    assert f'User "system:bootstrap:{result["token_id"]}" cannot list resource "nodes"' in refused["msg"]


def test_the_secret_part_is_only_in_the_token(module: Run) -> None:
    result = module("bootstrap_token")
    secret = result.pop("token").partition(".")[2]
    assert secret not in str(result)


def test_check_mode_stores_nothing_and_predicts_a_change(cluster: Cluster, module: Run) -> None:
    before = token_ids(cluster)
    result = module("bootstrap_token", check=True)
    assert result["changed"]
    assert token_ids(cluster) == before


def test_a_token_is_deleted_by_its_id_and_no_other(cluster: Cluster, module: Run) -> None:
    first, second = (module("bootstrap_token", description="pair")["token_id"] for _n in range(2))
    predicted = module("bootstrap_token", check=True, state="absent", token_id=first)
    assert {first, second} <= token_ids(cluster)
    result = module("bootstrap_token", state="absent", token_id=first)
    assert (result["changed"], result["deleted"], result["diff"]) == (True, [first], predicted["diff"])
    assert token_ids(cluster) & {first, second} == {second}
    assert not module("bootstrap_token", state="absent", token_id=first)["changed"]


def test_all_tokens_of_one_description_are_deleted(cluster: Cluster, module: Run) -> None:
    ours = {module("bootstrap_token", description="run 1")["token_id"] for _n in range(2)}
    others = {module("bootstrap_token", description=text)["token_id"] for text in ("run 10", "run", "")}
    predicted = module("bootstrap_token", check=True, state="absent", description="run 1")
    result = module("bootstrap_token", state="absent", description="run 1")
    assert set(result["deleted"]) == ours
    assert predicted["deleted"] == result["deleted"]
    assert others <= token_ids(cluster)
    assert not module("bootstrap_token", state="absent", description="run 1")["changed"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"ttl_minutes": 0}, "lifetime must be positive"),
        ({"groups": ["system:masters"]}, "must begin with system:bootstrappers:"),
        ({"usages": []}, "A token needs usages that exist"),
        ({"state": "absent", "token_id": "abcdef.0123456789abcdef"}, "Give the part before the dot"),
        ({"state": "absent", "token_id": "../x;rm"}, "not 6 characters"),
    ],
)
def test_what_cannot_be_a_token_is_refused_in_words(
    cluster: Cluster, module: Run, args: dict[str, object], words: str
) -> None:
    before = token_ids(cluster)
    result = module("bootstrap_token", **args)
    assert result["failed"]
    assert words in result["msg"]
    assert "0123456789abcdef" not in result["msg"]
    assert token_ids(cluster) == before
