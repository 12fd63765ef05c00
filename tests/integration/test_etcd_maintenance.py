# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd_maintenance against real etcd clusters."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError
from tests.integration.etcd_cluster import EtcdCluster, Make, eventually

NAMES = ("cp1", "cp2", "cp3")
SMALL_QUOTA = ("--quota-backend-bytes", str(1 << 20))
ALL = {"min_size_mib": 0.3, "min_free_percent": 10}


def well(result: dict[str, Any]) -> dict[str, Any]:
    assert not result.get("failed"), result
    return result


def leader(cluster: EtcdCluster) -> str:
    seen = eventually(cluster.info, lambda result: result["etcd"]["leader"] is not None)["etcd"]
    return next(str(member["name"]) for member in seen["members"] if member["leader"])


def overwrite(cluster: EtcdCluster, times: int = 40) -> None:
    """One key again and again: its older values are what a compaction forgets."""
    for number in range(times):
        cluster.put("cp1", f"/registry/{number % 2}", 16384)


def compact(cluster: EtcdCluster, **args: Any) -> None:
    """And wait until each member has done it: the other ones do it by themselves, and count with their next write."""
    well(cluster.maintain("compact", **args))
    settle(cluster)


def settle(cluster: EtcdCluster) -> None:
    def shares() -> list[float]:
        cluster.put("cp1", "settle", 1)
        return [member["db_size_in_use"] / member["db_size"] for member in cluster.info()["etcd"]["members"]]

    eventually(shares, lambda seen: max(seen) < 0.7)


def fill(cluster: EtcdCluster) -> None:
    with pytest.raises(ApiError, match="database space exceeded"):
        overwrite(cluster, 200)


def raised(cluster: EtcdCluster) -> list[str]:
    return [alarm for member in cluster.info()["etcd"]["members"] for alarm in member["alarms"]]


def without_sizes(text: str) -> str:
    """etcd itself writes between two looks."""
    return re.sub(r"\d+ KiB", "KiB", text)


def the_same_twice(cluster: EtcdCluster, action: str, **args: Any) -> dict[str, Any]:
    """Check mode predicts what the run does, and a second run has nothing to do."""
    told = well(cluster.maintain(action, check=True, **args))
    assert cluster.maintain(action, check=True, **args)["steps"] == told["steps"], "asked is not done"
    done = well(cluster.maintain(action, **args))
    assert (told["steps"], told["changed"], told["aloud"]) == (done["steps"], done["changed"], done["aloud"])
    assert without_sizes(told["diff"]["before"]) == without_sizes(done["diff"]["before"])
    again = well(cluster.maintain(action, **args))
    assert (again["changed"], again["steps"]) == (False, [])
    assert again["diff"]["before"] == again["diff"]["after"]
    return done


def test_compact_and_defragment_the_leader_last(make: Make) -> None:
    cluster = make(*NAMES)
    overwrite(cluster)
    first = leader(cluster)
    done = the_same_twice(cluster, "compact", keep=3)
    assert done["steps"] == ["compact to revision 38"]
    with pytest.raises(ApiError, match="has been compacted") as gone:
        cluster.api("cp1").call("kv/range", {"key": "eA==", "revision": "37"})
    assert gone.value.status == 400
    cluster.api("cp1").call("kv/range", {"key": "eA==", "revision": "38"})

    settle(cluster)
    untouched = well(cluster.maintain("defragment"))
    assert untouched["steps"] == [], "such small databases are not worth it"
    done = the_same_twice(cluster, "defragment", **ALL)
    followers = [name for name in NAMES if name != first]
    heir = followers[0] if f'to "{followers[0]}"' in done["steps"][2] else followers[1]
    assert done["steps"] == [
        *(f'defragment "{name}"' for name in followers),
        f'move the leadership from "{first}" to "{heir}"',
        f'defragment "{first}"',
    ]
    assert done["freed"] > 3 * 400_000
    assert leader(cluster) == heir
    assert done["arithmetic"] == "3 of 3 voters healthy, quorum 2, tolerance 1"


def test_one_member_by_its_exact_name(make: Make) -> None:
    cluster = make(*NAMES)
    overwrite(cluster)
    compact(cluster)
    follower = next(name for name in NAMES if name != leader(cluster))
    assert the_same_twice(cluster, "defragment", name=follower, **ALL)["steps"] == [f'defragment "{follower}"']
    assert 'named "cp"' in cluster.maintain("defragment", name="cp")["msg"]


def test_with_one_member_dead_no_other_is_defragmented(make: Make) -> None:
    cluster = make(*NAMES)
    overwrite(cluster)
    compact(cluster)
    before = {name: cluster.api(name).status()["dbSize"] for name in ("cp1", "cp2")}
    cluster.members["cp3"].kill()
    eventually(lambda: leader(cluster), lambda name: name != "cp3")
    result = cluster.maintain("defragment", **ALL)
    assert result["failed"] is True
    assert "2 of 3 voters healthy" in result["error"]["found"]
    assert {name: cluster.api(name).status()["dbSize"] for name in ("cp1", "cp2")} == before


def test_the_leadership_goes_where_it_is_wanted(make: Make) -> None:
    cluster = make(*NAMES)
    first = leader(cluster)
    other = next(name for name in NAMES if name != first)
    done = the_same_twice(cluster, "move_leader", name=other)
    assert done["steps"] == [f'move the leadership from "{first}" to "{other}"']
    assert leader(cluster) == other
    third = next(name for name in NAMES if name not in (first, other))
    cluster.members[third].freeze()
    refused = cluster.maintain("move_leader", name=third, timeout=1)
    assert f'"{third}" is not healthy' in refused["error"]["found"]
    assert the_same_twice(cluster, "move_leader", away_from=other, timeout=1)["changed"]
    assert leader(cluster) == first


def test_nospace_is_healed_and_writes_go_on(make: Make) -> None:
    """FAULTS 20."""
    cluster = make(*NAMES, flags=SMALL_QUOTA)
    fill(cluster)
    assert "NOSPACE" in raised(cluster)
    refused = cluster.gate("add_learner", "cp4", peer_url="https://192.0.2.14:2380")
    assert "NOSPACE" in refused["error"]["found"]
    assert "90% are allowed" in cluster.maintain("disarm")["error"]["found"], "the cause is still there"

    first = leader(cluster)
    done = the_same_twice(cluster, "auto")
    assert done["steps"][0].startswith("compact to revision ")
    assert [word for word in done["steps"] if word.startswith("defragment")][-1] == f'defragment "{first}"'
    assert done["steps"][-1].startswith("disarm NOSPACE of ")
    assert raised(cluster) == []
    assert cluster.info()["etcd"]["healthy_voters"] == 3
    overwrite(cluster, 20)


def test_data_that_are_too_many_stay_an_alarm(make: Make) -> None:
    cluster = make("cp1")
    for number in range(40):
        cluster.put("cp1", f"/registry/{number}", 16384)
    cluster.members["cp1"].kill()
    cluster.flags = ("--quota-backend-bytes", str(1 << 19))
    cluster.start("cp1")
    eventually(cluster.info, lambda seen: not seen.get("failed"))
    with pytest.raises(ApiError, match="database space exceeded"):
        cluster.put("cp1", "/registry/x", 16384)
    assert "allow_downtime" in cluster.maintain("auto")["error"]["found"]
    first = cluster.maintain("auto", allow_downtime=True)
    assert first["failed"] is True, "disarmed, it would be raised again at once"
    second = cluster.maintain("auto", allow_downtime=True)
    assert "raise the quota" in second["error"]["found"]
    assert raised(cluster) == ["NOSPACE"]
    cluster.api("cp1").call("kv/deleterange", {"key": "L3JlZ2lzdHJ5Lw==", "range_end": "L3JlZ2lzdHJ5MA=="})
    assert well(cluster.maintain("auto", allow_downtime=True))["changed"]
    assert raised(cluster) == []
    cluster.put("cp1", "/registry/x", 16384)


def test_with_a_dead_member_nospace_is_healed_when_a_gap_is_wanted(make: Make) -> None:
    cluster = make(*NAMES, flags=SMALL_QUOTA)
    fill(cluster)
    # Its own alarm stays: whether it has room is known when it is back, or no matter when it is removed.
    cluster.members["cp3"].kill()
    eventually(lambda: leader(cluster), lambda name: name != "cp3")
    assert "allow_downtime" in cluster.maintain("auto")["error"]["found"]
    result = cluster.maintain("auto", allow_downtime=True)
    if result.get("failed"):
        assert '"cp3" does not answer' in result["error"]["found"]
        cluster.start("cp3")
        # Its alarm keeps it from being called healthy, until it is disarmed; but it answers everything it is asked.
        eventually(cluster.info, lambda seen: not any(member["error"] for member in seen["etcd"]["members"]))
        result = well(cluster.maintain("auto", allow_downtime=True))
    assert raised(cluster) == []
    cluster.put("cp1", "/registry/x", 16384)


def test_a_run_that_was_killed_after_its_compaction_is_finished(make: Make) -> None:
    """What is in use is as old as the last write then, and nothing is written any more."""
    cluster = make("cp1", flags=SMALL_QUOTA)
    fill(cluster)
    well(cluster.maintain("compact"))
    told = well(cluster.maintain("auto", check=True, allow_downtime=True))
    done = well(cluster.maintain("auto", allow_downtime=True))
    assert told["steps"] == done["steps"]
    assert [step.split()[0] for step in done["steps"]][-1] == "disarm"
    assert raised(cluster) == []
    cluster.put("cp1", "/registry/x", 16384)


def test_nothing_is_raised_nothing_is_done(make: Make) -> None:
    cluster = make("cp1")
    for action in ("auto", "disarm"):
        result = well(cluster.maintain(action))
        assert (result["changed"], result["steps"]) == (False, [])
    assert well(cluster.maintain("compact", revision=1))["changed"] is False
    ahead = cluster.maintain("compact", revision=999)
    assert "revision 999 is not there yet" in ahead["msg"]
    assert cluster.maintain("compact", keep=-1)["failed"] is True
