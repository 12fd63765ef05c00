# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotation of keys: at every moment every API server reads what any of them writes, killed wherever a run is killed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import encryption_rotation as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.encryption import Key
from ansible_collections.quorum.kubeadm.plugins.module_utils.encryption_rotation import Server
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import RefusedError

HOSTS = ("cp1", "cp2", "cp3")


def keys(*names: str) -> tuple[Key, ...]:
    return tuple(Key(name, f"mark of {name}") for name in names)


def server(name: str, *names: str, loaded: tuple[str, ...] | None = (), rest: str = "") -> Server:
    """`loaded` left out: what the file has."""
    return Server(
        name, keys(*names), keys(*names) if loaded == () else loaded if loaded is None else keys(*loaded), rest
    )


@dataclass
class World:
    """Control planes as a rotation sees and changes them, with a watchman who checks the law at every change."""

    files: dict[str, list[str]]
    loaded: dict[str, list[str] | None]
    stored: list[str] = field(default_factory=list)

    def seen(self) -> list[Server]:
        return [server(name, *self.files[name], loaded=None if had is None else tuple(had))
                for name, had in sorted(self.loaded.items())]  # fmt: skip

    def watch(self) -> None:
        running = [had for had in self.loaded.values() if had is not None]
        # Each of them writes one object now; the store never holds what one of them cannot read.
        self.stored += [had[0] for had in running]
        for had in running:
            assert set(self.stored) <= set(had), f"a server with {had} cannot read {set(self.stored)}"

    def node(self, name: str, want: list[str]) -> Iterator[None]:
        """The steps of the role: stop, write, start."""
        self.loaded[name] = None
        yield
        self.files[name] = want
        yield
        self.loaded[name] = list(want)
        yield

    def started(self) -> Iterator[None]:
        """API servers that were left stopped."""
        for name in sorted(self.files):
            if self.loaded[name] is None:
                self.loaded[name] = list(self.files[name])
                yield

    def run(self) -> Iterator[None]:
        """The playbook's steps; a test ends the generator where it likes."""
        yield from self.started()
        plan = subject.plan(self.seen())
        for name in plan.add:
            made = {plan.new} if plan.makes and name == plan.donor else set()
            assert set(plan.keys[name]) <= {*self.files[name], *self.files[plan.donor], *made}
            yield from self.node(name, list(plan.keys[name]))
        if plan.promote:
            subject.require_promotable(self.seen(), plan.new)
        for name in plan.promote:
            rest = [key for key in plan.keys[name] if key != plan.new]
            yield from self.node(name, [plan.new, *rest])
        subject.require_rewritable(self.seen(), plan.new)
        for number in range(len(self.stored)):
            self.stored[number] = plan.new
            if number % 7 == 0:
                yield
        counts = {f"secretbox:{name}": self.stored.count(name) for name in set(self.stored)}
        subject.require_unused(counts, [], plan.new)
        for name in plan.drop:
            yield from self.node(name, [plan.new])


@given(st.lists(st.integers(0, 60), max_size=8), st.integers(1, 5))
def test_killed_anywhere_nobody_ever_meets_what_it_cannot_read(kills: list[int], size: int) -> None:
    names = [f"cp{number}" for number in range(1, size + 1)]
    world = World({name: ["key1"] for name in names}, {name: ["key1"] for name in names}, ["key1"] * 5)
    world.watch()
    for kill in kills:
        for step, _nothing in enumerate(world.run()):
            world.watch()
            if step == kill:
                break
    for _nothing in world.run():
        world.watch()
    (only,) = {tuple(had or ()) for had in world.loaded.values()}
    assert len(only) == 1
    assert only != ("key1",), "a rotation was finished"
    assert {world.files[name][0] for name in names} == set(only)


def test_a_new_rotation_makes_the_next_key_and_names_every_step() -> None:
    plan = subject.plan([server(name, "key1") for name in HOSTS])
    assert (plan.new, plan.makes, plan.old) == ("key2", True, ("key1",))
    assert plan.add == plan.promote == plan.drop == HOSTS
    assert plan.keys == dict.fromkeys(HOSTS, ("key1", "key2"))
    assert plan.donor == "cp1"
    assert [line.split()[0] for line in plan.steps()] == ["make", "write", "write", "drop"]


def test_a_name_is_never_used_again() -> None:
    assert subject.plan([server("cp1", "key9")]).new == "key10"
    assert subject.plan([server("cp1", "theirs")]).new == "key1"


@pytest.mark.parametrize(
    ("files", "add", "promote", "drop"),
    [
        ((("key1", "key2"), ("key1",), ("key1",)), ("cp2", "cp3"), HOSTS, HOSTS),
        ((("key1", "key2"), ("key1", "key2"), ("key1", "key2")), (), HOSTS, HOSTS),
        ((("key2", "key1"), ("key1", "key2"), ("key1", "key2")), (), ("cp2", "cp3"), HOSTS),
        ((("key2", "key1"), ("key2", "key1"), ("key2", "key1")), (), (), HOSTS),
        ((("key2",), ("key2", "key1"), ("key2", "key1")), (), (), ("cp2", "cp3")),
        # Nobody should meet these; the one that cannot read comes first.
        ((("key2", "key1"), ("key1",), ("key2", "key1")), ("cp2",), ("cp2",), HOSTS),
        ((("key2",), ("key1", "key2"), ("key2", "key1")), ("cp1",), ("cp2",), HOSTS),
    ],
)
def test_an_interrupted_rotation_is_finished_and_no_other_is_begun(
    files: tuple[tuple[str, ...], ...], add: tuple[str, ...], promote: tuple[str, ...], drop: tuple[str, ...]
) -> None:
    plan = subject.plan([server(name, *had) for name, had in zip(HOSTS, files)])
    assert (plan.new, plan.makes) == ("key2", False)
    assert (plan.add, plan.promote) == (add, promote)
    assert plan.drop == drop


def test_a_server_that_runs_with_something_else_starts_again_before_anybody_promotes() -> None:
    servers = [server("cp1", "key1", "key2", loaded=("key1",)), server("cp2", "key1", "key2")]
    assert subject.plan(servers).add == ("cp1",)
    with pytest.raises(RefusedError, match="cannot read key2 yet"):
        subject.require_promotable(servers, "key2")


def test_the_one_that_does_not_run_comes_first() -> None:
    plan = subject.plan([server("cp1", "key1"), server("cp2", "key1", loaded=None), server("cp3", "key1")])
    assert plan.add == ("cp2", "cp1", "cp3")


def test_two_secrets_of_one_name_are_refused() -> None:
    other = Server("cp2", (Key("key1", "another"),), (Key("key1", "another"),))
    with pytest.raises(RefusedError, match="same name: key1"):
        subject.plan([server("cp1", "key1"), other])


def test_configurations_that_differ_otherwise_are_refused() -> None:
    with pytest.raises(RefusedError, match="differ in more than their keys"):
        subject.plan([server("cp1", "key1"), server("cp2", "key1", rest="other")])


def test_strangers_that_share_no_key_are_refused() -> None:
    with pytest.raises(RefusedError, match="no control plane has every key"):
        subject.plan([server("cp1", "key1"), server("cp2", "key2")])


@pytest.mark.parametrize("late", [("key1", "key2"), ("key2",), ("key1",)])
def test_nothing_is_rewritten_while_one_may_write_under_another_key(late: tuple[str, ...]) -> None:
    servers = [server("cp1", "key2", "key1"), server("cp2", "key2", "key1", loaded=late)]
    with pytest.raises(RefusedError, match="cp2 may still write"):
        subject.require_rewritable(servers, "key2")


@pytest.mark.parametrize("stored", [{"secretbox:key1": 1}, {"identity": 2}, {"aescbc:key2": 1}])
def test_a_key_that_a_value_needs_is_not_dropped(stored: dict[str, int]) -> None:
    with pytest.raises(RefusedError, match="no key was dropped") as caught:
        subject.require_unused({"secretbox:key2": 9, **stored}, ["/registry/secrets/a/b"], "key2")
    assert "/registry/secrets/a/b" in caught.value.found


def test_a_key_that_nothing_needs_may_go() -> None:
    subject.require_unused({"secretbox:key2": 9, "secretbox:key1": 0}, [], "key2")
