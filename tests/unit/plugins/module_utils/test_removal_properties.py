# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every removal, over clusters of any size, any machines dead, any of them named."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.quorum import quorum
from ansible_collections.quorum.kubeadm.plugins.module_utils.removal import Outcome
from tests.unit.removal_world import Removal, fatal, parts

MANY = settings(max_examples=300, deadline=None)
PLANES = tuple(f"cp{number}" for number in range(1, 8))
FATES = ("alive", "dead", "lost", "contradictory")


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Removal, list[str], dict[str, str], bool]:
    """A cluster, who of it is named, each one's fate, and whether everything was confirmed."""
    external = draw(st.booleans())
    world = Removal(
        planes=PLANES[: draw(st.integers(1, 7))],
        etcd=tuple(f"e{number}" for number in range(1, draw(st.sampled_from((1, 3, 4, 5))) + 1)) if external else (),
    )
    every = [*world.planes, *world.workers, *world.balancers, *world.etcd]
    fates = {name: draw(st.sampled_from(("alive", "alive", *FATES))) for name in every}
    for name, fate in fates.items():
        if fate == "dead":
            world.lose(name)
        elif fate == "lost":
            world.wipe(name)
        elif fate == "contradictory":
            world.away.add(name)
    world.leader = next((name for name in world.members if name not in world.sick), "")
    named = draw(st.lists(st.sampled_from(every), min_size=1, max_size=4, unique=True))
    return world, named, fates, draw(st.booleans())


def ask(world: Removal, named: list[str], confirmed: bool) -> Outcome:
    return world.ask(*named, confirm_even=confirmed, confirm_no_tolerance=confirmed)


@given(worlds())
@MANY
def test_what_is_allowed_keeps_the_quorum_after_every_step(
    made: tuple[Removal, list[str], dict[str, str], bool],
) -> None:
    world, named, _fates, confirmed = made
    outcome = ask(world, named, confirmed)
    if outcome.is_fatal:
        return
    left = set(world.members)
    for step in outcome.as_dict()["members"]:
        left.discard(step["name"])
        healthy = [name for name in left if name not in world.sick]
        assert len(healthy) >= quorum(len(left)) or not left
    assert left or not set(named) & set(world.members)


@given(worlds())
@MANY
def test_an_allowed_removal_leaves_somebody_who_serves(made: tuple[Removal, list[str], dict[str, str], bool]) -> None:
    world, named, _fates, confirmed = made
    if ask(world, named, confirmed).is_fatal:
        return
    if set(named) & set(world.planes):
        assert set(world.planes) - set(named) - world.silent
    if set(named) & set(world.balancers):
        assert set(world.balancers) - set(named) - world.silent


@given(worlds())
@MANY
def test_nobody_is_touched_who_was_not_named(made: tuple[Removal, list[str], dict[str, str], bool]) -> None:
    world, named, fates, confirmed = made
    outcome = ask(world, named, confirmed)
    told, touched = outcome.as_dict(), parts(outcome)
    assert {one["name"] for one in (*told["members"], *told["forget"])} <= set(named)
    for part in ("drain", "reset", "member", "balancer"):
        assert set(touched.get(part, [])) <= {name for name in named if fates[name] == "alive"}
    for part in ("through", "rewrite", "outdated", "kube_removal_look"):
        assert not set(touched.get(part, [])) & set(named)


@given(worlds())
@MANY
def test_a_contradiction_is_always_refused(made: tuple[Removal, list[str], dict[str, str], bool]) -> None:
    world, named, fates, confirmed = made
    contradictory = [name for name in named if fates[name] == "contradictory" and name not in world.balancers]
    outcome = ask(world, named, confirmed)
    assert outcome.is_fatal or not contradictory
    assert not {name for names in parts(outcome).values() for name in names} & set(contradictory)


@given(worlds())
@MANY
def test_a_confirmation_never_makes_less_possible(made: tuple[Removal, list[str], dict[str, str], bool]) -> None:
    world, named, _fates, _confirmed = made
    if not fatal(ask(world, named, False)):
        assert not fatal(ask(world, named, True))


@given(worlds(), st.permutations([0, 1, 2, 3]))
@MANY
def test_the_order_of_the_names_decides_nothing(
    made: tuple[Removal, list[str], dict[str, str], bool], order: list[int]
) -> None:
    world, named, _fates, confirmed = made
    other = [named[index] for index in order if index < len(named)]
    one, two = ask(world, named, confirmed), ask(world, other, confirmed)
    assert one.as_dict()["members"] == two.as_dict()["members"]
    assert len(fatal(one)) == len(fatal(two))
