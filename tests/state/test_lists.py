"""Lists of many owners in one arena, held to lists."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.state.lists import Lists

DEEDS = ("append", "drop", "put", "many", "bulk", "clear", "close up", "tear")
deeds = st.lists(st.tuples(st.integers(0, 4), st.integers(-9, 9), st.sampled_from(DEEDS)))


def check(lists: Lists) -> None:
    """Rooms hold their lists and do not overlap."""
    arena = lists._arena
    taken: set[int] = set()
    for start, count, room in zip(
        *(arena_part.values.tolist() for arena_part in (arena.starts, arena.counts, arena.rooms)), strict=True
    ):
        assert 0 <= count <= room
        places = set(range(start, start + room))
        assert not places & taken
        taken |= places
    assert max(taken, default=-1) < arena.used


def close_up(lists: Lists, plainly: dict[int, list[int]]) -> None:
    """Then nothing lies between the lists."""
    lists._arena.close_up()
    assert lists._arena.used == sum(map(len, plainly.values()))


@settings(max_examples=200, deadline=None)
@given(deeds)
def test_lists_hold_what_lists_hold(found: list[tuple[int, int, str]]) -> None:
    lists, plainly = Lists(np.int32), {owner: list[int]() for owner in range(5)}
    for owner, value, deed in found:
        own = plainly[owner]
        if deed == "append":
            lists.append(owner, value)
            own.append(value)
        elif deed in {"many", "bulk"}:
            owners = np.arange(3 * abs(value)) % (owner + 1)
            lists.append_many(owners, np.arange(len(owners), dtype=np.int32), bulk=deed == "bulk")
            for at, one in enumerate(owners.tolist()):
                plainly[one].append(at)
        elif deed == "put":
            lists.put(owner, np.arange(value + 9, dtype=np.int32))
            own[:] = range(value + 9)
        elif deed == "clear":
            lists.clear(np.arange(min(owner, len(lists.spans.starts))))
            plainly |= {one: [] for one in range(owner)}
        elif deed == "close up":
            close_up(lists, plainly)
        elif deed == "tear":
            saved = {name: values.copy() for name, values in lists.columns().items()}
            lists = Lists(np.int32)
            lists.restore(saved)
        else:
            assert lists.drop(owner, value) == (value in own)
            if value in own:
                own.remove(value)
        check(lists)
        assert [lists.of(one).tolist() for one in range(5)] == list(plainly.values())
        values, place = lists.of_all(np.array([4, 0, 9]))
        assert values.tolist() == plainly[4] + plainly[0]
        assert place.tolist() == [0] * len(plainly[4]) + [1] * len(plainly[0])


def test_a_bulk_leaves_no_room_and_what_is_appended_one_by_one_at_most_a_half() -> None:
    bulk, slow = Lists(np.int32), Lists(np.int32)
    owners = np.random.default_rng(1).integers(0, 200, 20_000)
    bulk.append_many(owners, owners.astype(np.int32), bulk=True)
    assert bulk._arena.used == 20_000
    for part in np.array_split(owners, 100):
        slow.append_many(part, part.astype(np.int32))
    check(slow)
    assert slow._arena.rooms.values.sum() <= 1.5 * 20_000 + 4 * 200
    assert slow._arena.used <= 2 * 20_000 * 9 // 8  # it closes up before it grows, not as it fills


def test_one_owner_may_have_more_than_all_others() -> None:
    lists = Lists(np.int32)
    for one in range(3):
        lists.append_many(np.full(5_000, one % 2), np.full(5_000, one, np.int32))
    assert [len(lists.of(one)) for one in range(2)] == [10_000, 5_000]
    check(lists)
