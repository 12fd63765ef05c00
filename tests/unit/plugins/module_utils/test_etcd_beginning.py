"""The first start of a new member: only where nothing else lives, once, and finished by the next run."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import etcd_beginning as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_beginning import Beginning, Known, Seen

MEMBERS = {f"etcd{number}": f"https://192.0.2.3{number}:2380" for number in (1, 2, 3)}
WANT = subject.Begin("etcd2", MEMBERS, "production")
OTHERS = ["https://192.0.2.31:2379", "https://192.0.2.33:2379"]
JOIN = WANT.text().replace('"new"', '"existing"')
REFUSED = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate in certificate chain"
ALL = Beginning(writes=True, starts=True, waits=True, finishes=True)


def listed(started: str = "", **changes: str) -> tuple[Known, ...]:
    """What a member lists: those that are named in `started` have been up."""
    return tuple(Known(name, (url,), name in started.split()) for name, url in {**MEMBERS, **changes}.items() if url)


def test_the_file_of_the_first_start() -> None:
    assert WANT.text() == (
        'ETCD_INITIAL_CLUSTER="etcd1=https://192.0.2.31:2380,etcd2=https://192.0.2.32:2380,'
        'etcd3=https://192.0.2.33:2380"\n'
        'ETCD_INITIAL_CLUSTER_STATE="new"\nETCD_INITIAL_CLUSTER_TOKEN="production"\n'
    )
    shuffled = subject.Begin("etcd2", dict(reversed(list(MEMBERS.items()))), "production")
    assert shuffled.text() == WANT.text(), "the order of an inventory changes nothing"


@pytest.mark.parametrize(
    ("seen", "left"),
    [
        (Seen(data=False, initial=None), ALL),
        (Seen(data=False, initial=None, others=dict.fromkeys(OTHERS, "Connection refused")), ALL),
        # Killed after the file was written, after the start, after it was healthy.
        (Seen(data=False, initial=WANT.text()), Beginning(starts=True, waits=True, finishes=True)),
        (Seen(data=True, initial=WANT.text()), Beginning(starts=True, waits=True, finishes=True)),
        (Seen(True, WANT.text(), listed("etcd2")), Beginning(waits=True, finishes=True)),
        (Seen(True, WANT.text(), listed("etcd2"), settled=True), Beginning(finishes=True)),
        (Seen(True, None, listed("etcd1 etcd2 etcd3"), settled=True), Beginning()),
        # It has grown since, or another one was replaced: this member is up, which is all that is asked.
        (Seen(True, None, listed("etcd2", etcd4="https://192.0.2.34:2380"), settled=True), Beginning()),
        # The others were faster.
        (Seen(False, None, others={OTHERS[0]: listed("etcd1 etcd3"), OTHERS[1]: "timed out"}), ALL),
        # Nothing of it has begun here, and the inventory was mended meanwhile.
        (Seen(False, subject.Begin("etcd2", {"etcd2": MEMBERS["etcd2"]}, "x").text()), ALL),
        (Seen(False, "damaged"), ALL),
    ],
)
def test_what_is_left_to_do(seen: Seen, left: Beginning) -> None:
    assert subject.decide(WANT, seen) == left


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (Seen(True, None), "no beginning of ours"),
        (Seen(True, None, others={OTHERS[0]: listed("etcd1 etcd2 etcd3")}), "no beginning of ours"),
        (Seen(True, JOIN), "begun to join"),
        (Seen(False, JOIN), "begun to join"),
        (Seen(True, subject.Begin("etcd2", MEMBERS, "older").text()), "bootstrap with other members"),
        (Seen(True, subject.Begin("etcd2", {"etcd2": MEMBERS["etcd2"]}, "production").text()), "other members"),
        (Seen(False, None, others={OTHERS[0]: listed("etcd1 etcd2 etcd3")}), "its data is gone"),
        (Seen(False, WANT.text(), others={OTHERS[0]: listed("etcd1 etcd2 etcd3")}), "its data is gone"),
        (Seen(False, None, others={OTHERS[0]: listed("etcd1", etcd2="")}), "exists already"),
        (Seen(False, None, others={OTHERS[0]: listed("etcd1", etcd4="https://192.0.2.34:2380")}), "exists already"),
        (Seen(False, None, others={OTHERS[0]: "refused", OTHERS[1]: REFUSED}), "another CA"),
        (Seen(False, None, own=listed("etcd1", etcd2=""), settled=True), "belongs to another cluster"),
        (Seen(True, WANT.text(), own=(Known("default", ("http://localhost:2380",), True),)), "another cluster"),
        (Seen(True, None, own=listed("etcd2", etcd2="https://203.0.113.2:2380")), "belongs to another cluster"),
    ],
)
def test_what_is_no_beginning_is_refused(seen: Seen, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason) as caught:
        subject.decide(WANT, seen)
    assert caught.value.next_step


def test_a_member_is_started_only_without_data_or_with_its_own_beginning() -> None:
    """Over every state of a host: whatever starts, starts from nothing or goes on with what it began."""
    texts = (None, WANT.text(), JOIN, subject.Begin("etcd2", MEMBERS, "older").text(), "damaged")
    answers: tuple[Any, ...] = (
        "Connection refused",
        REFUSED,
        listed("etcd1 etcd3"),
        listed("etcd1 etcd2"),
        listed("etcd1", etcd2=""),
    )
    own = (None, listed("etcd2"), listed("etcd1", etcd2=""))
    starts = 0
    for data, initial, answer, mine, settled in itertools.product((True, False), texts, answers, own, (True, False)):
        try:
            plan = subject.decide(WANT, Seen(data, initial, mine, settled, {OTHERS[0]: answer}))
        except RefusedError:
            continue
        assert not plan.starts or mine is None
        assert not (plan.starts and data) or initial == WANT.text()
        assert not (plan.writes and data)
        assert not plan.starts or data or answer in (answers[0], answers[2])
        starts += plan.starts
    assert starts


@pytest.mark.parametrize(
    ("name", "members", "token"),
    [
        ("etcd9", MEMBERS, "t"),
        ("etcd2", {**MEMBERS, "etcd4": MEMBERS["etcd1"]}, "t"),
        ("etcd2", {**MEMBERS, "etcd4": "http://192.0.2.34:2380"}, "t"),
        ("etcd2", {**MEMBERS, "etcd 4": "https://192.0.2.34:2380"}, "t"),
        ("etcd2", {**MEMBERS, "etcd4": 'https://192.0.2.34:2380"\nETCD_FORCE_NEW_CLUSTER="true'}, "t"),
        ("etcd2", MEMBERS, ""),
        ("etcd2", MEMBERS, 'a"b'),
    ],
)
def test_inputs_that_cannot_be_used(name: str, members: dict[str, str], token: str) -> None:
    with pytest.raises(InputError):
        subject.Begin(name, members, token)


def test_steps_are_told_in_plain_words() -> None:
    assert ALL.steps("etcd.service", "/etc/etcd/initial.env") == [
        "write /etc/etcd/initial.env",
        "start etcd.service",
        "remove /etc/etcd/initial.env, the member is healthy",
    ]
