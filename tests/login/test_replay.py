"""The replay: causal, within its budget, better than its baselines, and scored as the independent check scores it."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cachetools import LRUCache
from hypothesis import given
from hypothesis import strategies as st

from feedgen.events import Event, decode_json
from feedgen.login import baselines
from feedgen.login.budget import OVERSPENT_MOST
from feedgen.login.eviction import _belady, _lru, evictions
from feedgen.login.predictor import Learnt
from feedgen.login.replay import Met, Pace, met, regulars, replay
from feedgen.login.training import train
from feedgen.login.visits import Visits
from tests.conftest import Feedgen
from tests.login.communities import DAY, START, community, drifting, visits

SHARED = Path(__file__).parents[2] / ".." / "shared"
SESSIONS = SHARED / "data" / "sessions.jsonl.gz"
CHECK = SHARED / "check" / "login_eval.py"
PACE = Pace(fresh_s=1_800.0, tick_s=600.0, longest_s=7.0 * DAY, active_s=14.0 * DAY, least_price=1e-3)
BEGIN, UNTIL = START + 26.0 * DAY, START + 32.0 * DAY


@pytest.fixture(scope="module")
def past() -> Visits:
    return drifting(12, 34)


@pytest.fixture(scope="module")
def learnt(past: Visits) -> Learnt:
    return Learnt(train(past, BEGIN, moments=3_000))


def lines(path: Path, events: list[Event]) -> Path:
    text = [json.dumps({"id": e.id, "type": e.type, "ts": e.ts, "actor": e.actor}) for e in events]
    path.write_text("\n".join(text) + "\n")
    return path


def scored(past: Visits, made: "tuple[np.ndarray, np.ndarray]") -> Met:
    return met(past, BEGIN, UNTIL, *made, np.flatnonzero(regulars(past, BEGIN)), 1_800.0, 86_400.0)


@pytest.mark.parametrize("budget", [2.0, 5.0])
def test_it_meets_more_than_the_baselines_for_no_more(past: Visits, learnt: Learnt, budget: float) -> None:
    """Hours say nothing here, and how long the viewer has been away says all: a margin no training can lose."""
    ours = replay(past, BEGIN, UNTIL, budget, learnt, PACE)
    got = scored(past, (ours.viewers, ours.ts))
    # The tick that empties the account may end above it, by one generation a viewer.
    assert got.generations <= budget * got.logins * OVERSPENT_MOST + got.viewers
    beside = histogram_for(past, got.generations)
    assert beside.generations >= got.generations
    assert got.fresh > beside.fresh
    assert ((ours.ts >= BEGIN) & (ours.ts < UNTIL)).all()
    assert (np.diff(ours.ts) >= 0).all()
    everyone = baselines.active_lately(past, BEGIN, UNTIL, 1_800.0, 14.0)
    assert scored(past, (everyone.viewers, everyone.ts)).fresh == got.logins


def histogram_for(past: Visits, generations: int) -> Met:
    """The histogram's cheapest plan that costs at least so many: it is aimed, and meets a budget roughly."""
    for aimed in np.geomspace(0.05, 50.0, 30).tolist():
        plain = baselines.histogram(past, BEGIN, UNTIL, aimed, 1_800.0)
        beside = scored(past, (plain.viewers, plain.ts))
        if beside.generations >= generations:
            return beside
    raise AssertionError("the histogram never spends as much")


def test_nothing_later_than_the_moment_is_used() -> None:
    past = drifting(24, 16)
    begin = START + 12.0 * DAY
    cut_at = begin + 2.3 * DAY
    cut = past.before(cut_at)
    made = []
    for seen in (past, cut):
        run = replay(seen, begin, begin + 3.0 * DAY, 5.0, Learnt(train(seen, begin, moments=300)), PACE)
        early = run.ts < cut_at
        made.append([(seen.names[viewer], ts) for viewer, ts in zip(run.viewers[early], run.ts[early], strict=True)])
    assert made[0] == made[1]
    assert len(made[0]) > 20


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20_000)), max_size=30),
    st.lists(st.tuples(st.integers(0, 3), st.integers(-4_000, 20_000)), max_size=30),
)
def test_met_is_a_plain_count(logins: list[tuple[int, int]], made: list[tuple[int, int]]) -> None:
    seen = Visits.of(Event(f"e{n}", "login", float(START + ts), f"u{who}") for n, (who, ts) in enumerate(logins))
    number = {name: viewer for viewer, name in enumerate(seen.names)}
    ours = [(number[f"u{who}"], START + ts) for who, ts in made if f"u{who}" in number]
    viewers = np.array([viewer for viewer, _ in ours], np.int64)
    times = np.array([ts for _, ts in ours], np.float64)
    got = met(seen, START, START + 20_001.0, viewers, times, np.arange(len(seen.names)), 1_800.0, 3_600.0)
    ages = [
        min((START + ts - at for viewer, at in ours if viewer == number[f"u{who}"] and at <= START + ts), default=1e9)
        for who, ts in logins
    ]
    assert got.fresh == sum(age < 1_800 for age in ages)
    assert got.stale == sum(1_800 <= age < 3_600 for age in ages)
    assert (got.logins, got.generations) == (len(logins), len(ours))


accesses = st.lists(st.integers(0, 5), max_size=14)


@given(accesses, st.integers(1, 4))
def test_lru_is_an_lru(found: list[int], capacity: int) -> None:
    cache: LRUCache[int, None] = LRUCache(capacity)
    hits = 0
    for viewer in found:
        hits += viewer in cache
        cache[viewer] = None
    assert _lru(np.array(found, np.int64), capacity) == hits


@given(accesses, st.integers(1, 4))
def test_beladys_optimum_is_the_best_there_is(found: list[int], capacity: int) -> None:
    states: dict[frozenset[int], int] = {frozenset(): 0}
    for viewer in found:  # every way to evict
        after: dict[frozenset[int], int] = {}
        for kept, hits in states.items():
            if viewer in kept:
                ways = [(kept, hits + 1)]
            elif len(kept) < capacity:
                ways = [(kept | {viewer}, hits)]
            else:
                ways = [(kept - {out} | {viewer}, hits) for out in kept]
            for way, count in ways:
                after[way] = max(after.get(way, -1), count)
        states = after
    assert _belady(np.array(found, np.int64), capacity) == max(states.values())


def test_looking_ahead_evicts_better_than_lru(past: Visits, learnt: Learnt) -> None:
    got = evictions(past, BEGIN, UNTIL, learnt)
    assert [each.capacity for each in got] == [1, 1, 2]
    assert all(each.predicted <= each.belady for each in got)
    larger = visits(60, 40, 1)
    until = START + 40.0 * DAY
    got = evictions(larger, START + 30.0 * DAY, until, Learnt(train(larger, START + 30.0 * DAY, moments=2_000)))
    assert [each.capacity for each in got] == [3, 6, 12]
    assert all(each.lru < each.predicted < each.belady for each in got)


def test_the_command_dumps_every_generation(feedgen: Feedgen, tmp_path: Path) -> None:
    lines(tmp_path / "s.jsonl", community(20, 23))
    (tmp_path / "config.yaml").write_text("scheduler:\n  tick_s: 1800\n")
    begin = START + 21 * DAY
    span = ("--from", str(begin), "--until", str(begin + 2 * DAY))
    status, out, err = feedgen(
        "schedule-replay", "s.jsonl", *span, "--budget", "3", "--dump", "d.jsonl", "--eviction", "--curve", "c.png"
    )
    assert status == 0, err
    answer = json.loads(out)
    dumped = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert {frozenset(line) for line in dumped} == {frozenset({"viewer", "ts"})}
    assert all(begin <= line["ts"] < begin + 2 * DAY for line in dumped)
    everyone = answer["everyone"]
    assert len(dumped) == round(everyone["generations_per_login"] * everyone["logins"])
    assert set(answer["baselines"]) == {"active_lately", "hour_histogram"}
    assert [each["capacity"] for each in answer["eviction"]] == [1, 1, 3]
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    rates = [point["scheduler"]["hit_rate"] for point in answer["curve"]]
    assert len(rates) == 5
    assert rates[-1] >= rates[0] > 0


@pytest.mark.parametrize(
    ("args", "status", "reason"),
    [
        (("none.jsonl", "--from", "5", "--until", "9"), 1, "none.jsonl: no such file"),
        (("s.jsonl", "--from", "9", "--until", "9"), 2, "--until must be later than --from"),
        (("s.jsonl", "--from", "2030-01-01", "--until", "2031-01-01"), 1, "no login between --from and --until"),
        (("s.jsonl", "--from", "2022-01-08", "--until", "2022-01-20"), 1, "too few to learn from"),
        (("s.jsonl", "--from", "5", "--until", "9", "--dump", "no/d"), 2, "no: no such folder; make it first"),
        (("s.jsonl", "--from", "5", "--until", "9", "--curve", "."), 2, ". is a folder; name a file"),
    ],
)
def test_what_cannot_be_replayed_is_said_in_a_line(
    feedgen: Feedgen, tmp_path: Path, args: tuple[str, ...], status: int, reason: str
) -> None:
    lines(tmp_path / "s.jsonl", community(12, 20))
    code, out, err = feedgen("schedule-replay", *args, "--budget", "3")
    assert (code, out) == (status, "")
    assert reason in err
    assert err.count("\n") == 1


@pytest.mark.skipif(not SESSIONS.exists(), reason="the shared sessions are not here")
def test_the_independent_check_agrees(tmp_path: Path) -> None:
    """Ten days of real logins, a short training: the check says what we say, and more is met than by the histogram."""
    begin, until = 1_625_097_600.0, 1_625_961_600.0
    with gzip.open(SESSIONS, "rt") as file:
        events = (decode_json(line, until * 2) for line in file)
        past = Visits.of(event for event in events if begin - 730 * DAY <= event.ts < until)
    run = replay(past, begin, until, 10.0, Learnt(train(past, begin, moments=600)), PACE)
    dump = tmp_path / "d.jsonl"
    made = zip(run.viewers.tolist(), run.ts.tolist(), strict=True)
    dump.write_text("".join(json.dumps({"viewer": past.names[viewer], "ts": ts}) + "\n" for viewer, ts in made))
    command = [sys.executable, str(CHECK), str(SESSIONS), "2021-07-01", "2021-07-11", str(dump)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    everyone = np.flatnonzero(regulars(past, begin))
    ours = met(past, begin, until, run.viewers, run.ts, everyone, 1_800.0, 86_400.0).figures()
    assert f"viewers {ours['viewers']} logins {ours['logins']}" in said
    rate, spent = (float(word) for word in said.split("hit rate ")[1].split(" generations/login "))
    assert rate == pytest.approx(ours["hit_rate"], abs=6e-4)
    assert spent == pytest.approx(ours["generations_per_login"], abs=6e-3)
    assert spent <= 10.05
    plain = baselines.histogram(past, begin, until, 8.0, 1_800.0)  # aimed at less, it spends more
    beside = met(past, begin, until, plain.viewers, plain.ts, everyone, 1_800.0, 86_400.0).figures()
    assert beside["generations_per_login"] >= spent
    assert rate > beside["hit_rate"]
