"""The lines of the worker pool against a plain list, the delays between tries, and the viewers set aside."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from feedgen.duequeue import JITTER, Aside, DueQueue, Job, retry_delay

BOUND = 4


class DueQueueMachine(RuleBasedStateMachine):
    """The twin is three lists of viewers."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = DueQueue(BOUND)
        self.jobs: dict[str, Job] = {}
        self.urgent: list[str] = []
        self.background: list[str] = []
        self.later: list[tuple[float, str]] = []
        self.now = 0.0
        self.made = 0

    def _new(self) -> Job:
        self.made += 1
        job = self.jobs[f"v{self.made:04}"] = Job(f"v{self.made:04}")
        return job

    @rule()
    def add(self) -> None:
        job = self._new()
        self.queue.add(job)
        self.background.append(job.viewer)

    @rule(after=st.integers(0, 5))
    def add_due(self, after: int) -> None:
        job = self._new()
        self.queue.add_due(job, self.now + after)
        self.later.append((self.now + after, job.viewer))

    @rule()
    def add_urgent(self) -> None:
        job = self._new()
        self.queue.add_urgent(job)
        self.urgent.append(job.viewer)

    @precondition(lambda self: self.urgent or self.background or self.later)
    @rule(data=st.data())
    def hurry(self, data: st.DataObject) -> None:
        standing = [*self.urgent, *self.background, *(viewer for _, viewer in self.later)]
        viewer = data.draw(st.sampled_from(standing))
        self.queue.add_urgent(self.jobs[viewer])
        if viewer not in self.urgent:
            self.urgent.append(viewer)
            self.background = [other for other in self.background if other != viewer]
            self.later = [entry for entry in self.later if entry[1] != viewer]

    @rule(limit=st.integers(1, 5), passed=st.integers(0, 4))
    def take(self, limit: int, passed: int) -> None:
        self.now += passed
        if self.urgent:
            expected, self.urgent = self.urgent[:limit], self.urgent[limit:]
        else:
            ripe = sorted(entry for entry in self.later if entry[0] <= self.now)[:limit]
            self.later = [entry for entry in self.later if entry not in ripe]
            room = limit - len(ripe)
            expected = [viewer for _, viewer in ripe] + self.background[:room]
            self.background = self.background[room:]
        taken = self.queue.take(self.now, limit)
        assert [job.viewer for job in taken] == expected
        assert all(job.line is None for job in taken)

    @invariant()
    def same(self) -> None:
        self.queue.check()
        assert len(self.queue) == len(self.urgent) + len(self.background) + len(self.later)
        assert self.queue.has_room == (len(self.background) + len(self.later) < BOUND)
        assert self.queue.has_urgent_room == (len(self.urgent) < BOUND)
        assert self.queue.next_due() == (min(self.later)[0] if self.later else None)


DueQueueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestDueQueue = DueQueueMachine.TestCase


@given(seed=st.integers(0, 99), first_s=st.floats(0.001, 10), times=st.floats(1, 100))
def test_delays_double_up_to_the_longest_and_jitter_only_shortens(seed: int, first_s: float, times: float) -> None:
    rng = random.Random(seed)
    longest_s = first_s * times
    delays = [retry_delay(failures, first_s, longest_s, rng) for failures in range(1, 100)]
    for failures, delay in enumerate(delays):
        whole = min(first_s * 2**failures, longest_s)
        assert whole * (1 - JITTER) <= delay <= whole
    growing = [delay for failures, delay in enumerate(delays) if first_s * 2**failures < longest_s]
    assert growing == sorted(growing)


def test_those_set_aside_come_back_when_their_time_is_up() -> None:
    aside = Aside(10.0)
    aside.add("a", 0.0)
    aside.add("b", 5.0)
    assert [aside.holds("a", 9.9), aside.holds("b", 9.9), aside.holds("c", 9.9)] == [True, True, False]
    assert [aside.holds("a", 10.0), aside.holds("b", 10.0)] == [False, True]
    aside.add("a", 12.0)
    assert [aside.holds("b", 15.0), aside.holds("a", 21.9), aside.holds("a", 22.0)] == [False, True, False]
