"""The epoch gate: one fold or many batches, nobody starved, nothing left behind by those who give up."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.gate import EpochGate


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)


class Visitor:
    """A task that goes in, stays until it is told to leave, and writes down when it came in."""

    def __init__(self, gate: EpochGate, kind: str, name: str, entered: list[str]) -> None:
        self.kind = kind
        self.name = name
        self.inside = False
        self._leave = asyncio.Event()
        self._entered = entered
        self.task = asyncio.create_task(self._visit(gate))

    async def _visit(self, gate: EpochGate) -> None:
        async with gate.batch() if self.kind == "batch" else gate.fold():
            self.inside = True
            self._entered.append(self.name)
            try:
                await self._leave.wait()
            finally:
                self.inside = False

    def leave(self) -> None:
        self._leave.set()


class House:
    def __init__(self) -> None:
        self.gate = EpochGate()
        self.entered: list[str] = []
        self.visitors: list[Visitor] = []

    async def come(self, *names: str) -> list[Visitor]:
        """b… are batches, f… folds."""
        come = [Visitor(self.gate, "batch" if name[0] == "b" else "fold", name, self.entered) for name in names]
        self.visitors += come
        await settle()
        return come

    def inside(self, kind: str) -> int:
        return sum(visitor.inside for visitor in self.visitors if visitor.kind == kind)


async def test_batches_share_and_a_fold_is_alone() -> None:
    house = House()
    b1, b2, f1, f2 = await house.come("b1", "b2", "f1", "f2")
    assert house.entered == ["b1", "b2"]
    b1.leave()
    await settle()
    assert house.entered == ["b1", "b2"]
    b2.leave()
    await settle()
    assert house.entered == ["b1", "b2", "f1"]
    f1.leave()
    await settle()
    assert house.entered == ["b1", "b2", "f1", "f2"]
    f2.leave()
    await f2.task


async def test_a_waiting_fold_goes_before_batches_that_come_later() -> None:
    house = House()
    b1, f1, b2, b3 = await house.come("b1", "f1", "b2", "b3")
    assert house.entered == ["b1"]
    b1.leave()
    await settle()
    assert house.entered == ["b1", "f1"]
    f1.leave()
    await settle()
    assert house.entered == ["b1", "f1", "b2", "b3"]
    for visitor in (b2, b3):
        visitor.leave()
        await visitor.task


async def test_folds_one_after_another_do_not_starve_batches() -> None:
    house = House()
    f1, f2, b1, f3 = await house.come("f1", "f2", "b1", "f3")
    for visitor in (f1, b1, f2, f3):
        assert visitor.inside
        visitor.leave()
        await settle()
    assert house.entered == ["f1", "b1", "f2", "f3"]


async def test_a_fold_that_gives_up_lets_the_batches_behind_it_in() -> None:
    house = House()
    b1, f1, b2 = await house.come("b1", "f1", "b2")
    f1.task.cancel()
    await settle()
    assert house.entered == ["b1", "b2"]
    for visitor in (b1, b2):
        visitor.leave()
        await visitor.task


@pytest.mark.parametrize("kind", ["b", "f"])
async def test_a_place_handed_to_one_who_gives_up_at_that_moment_is_passed_on(kind: str) -> None:
    house = House()
    async with house.gate.fold():
        waiter, other = await house.come(f"{kind}1", "f2")
    waiter.task.cancel()  # its place was handed over as the block ended, and it has not woken yet
    await settle()
    assert house.entered == ["f2"]
    house.gate.check()
    other.leave()
    await other.task


async def test_an_error_inside_leaves_the_gate_open() -> None:
    gate = EpochGate()
    for enter in (gate.fold, gate.batch, gate.fold):
        with pytest.raises(KeyError):
            async with enter():
                raise KeyError
    gate.check()


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["batch", "batch", "fold", "leave", "leave", "cancel", "settle"]), st.integers(0, 50)),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(actions=ACTIONS, seed=st.integers(0, 9))
def test_whatever_happens_the_rules_hold_and_all_get_in(actions: list[tuple[str, int]], seed: int) -> None:
    async def scenario() -> None:
        house = House()
        rng = random.Random(seed)
        cancelled: set[int] = set()
        for action, number in actions:
            at = number % len(house.visitors) if house.visitors else 0
            if action in ("batch", "fold"):
                house.visitors.append(Visitor(house.gate, action, str(len(house.visitors)), house.entered))
            elif action == "settle":
                await settle()
            elif house.visitors and action == "leave":
                house.visitors[at].leave()
            elif house.visitors:
                cancelled.add(at)
                house.visitors[at].task.cancel()
            if rng.random() < 0.5:
                await asyncio.sleep(0)
            house.gate.check()
            assert house.inside("fold") <= 1
            assert not (house.inside("fold") and house.inside("batch"))
        for visitor in house.visitors:
            visitor.leave()
        async with asyncio.timeout(5):
            await asyncio.gather(*(visitor.task for visitor in house.visitors), return_exceptions=True)
        assert {str(n) for n in range(len(house.visitors))} - set(house.entered) <= {str(n) for n in cancelled}
        async with asyncio.timeout(5), house.gate.fold():
            house.gate.check()

    asyncio.run(scenario())
