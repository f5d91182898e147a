"""Ids and their indices, held to a dictionary."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.state.symbols import Symbols, encoded

names = st.one_of(
    st.text(max_size=8), st.integers(0, 300).map(str), st.sampled_from(("", "\0", "a\0", "x" * 128, "\ud800"))
)


@settings(deadline=None)
@given(st.lists(st.lists(names, max_size=40), max_size=6), st.booleans())
def test_ids_are_numbered_as_they_are_first_met(batches: list[list[str]], torn: bool) -> None:
    symbols, plain = Symbols(), {}
    for batch in batches:
        for name in batch[::2]:
            assert symbols.find(name) == plain.get(name)
        assert symbols.find_many(batch[::2]).tolist() == [plain.get(name, -1) for name in batch[::2]]
        for name in batch:
            plain.setdefault(name, len(plain))
        found = symbols.intern_many(batch) if len(batch) != 1 else [symbols.intern(batch[0])]
        assert list(found) == [plain[name] for name in batch]
        if torn:
            saved, symbols = symbols.columns(), Symbols()
            symbols.restore(saved)
    assert list(symbols.names) == list(plain) == symbols.names[:]
    assert symbols.names_of(np.arange(len(plain))[::-1]) == list(plain)[::-1]
    bounds, data = symbols.encoded
    assert data.tobytes() == b"".join(name.encode("utf-8", "surrogatepass") for name in plain)
    assert len(bounds) == len(plain) + 1
    slots = symbols._slots.values
    assert sorted(slots[slots >= 0].tolist()) == list(range(len(plain)))
    assert 3 * len(plain) <= 2 * len(slots)


@pytest.mark.parametrize(("prefix", "first", "count"), [("u", 0, 1_101), ("", 9, 3), ("ü-", 10**9 - 2, 5), ("p", 3, 0)])
def test_numbered_ids_are_those_that_are_written_out(prefix: str, first: int, count: int) -> None:
    wanted = [f"{prefix}{first + number}" for number in range(count)]
    symbols = Symbols()
    symbols.intern_many(wanted[::2])
    assert symbols.intern_numbered(prefix, count, first).tolist() == [symbols.find(name) for name in wanted]
    assert sorted(symbols.names) == sorted(wanted)


def test_a_stretch_of_an_arena_is_interned_as_it_stands() -> None:
    bounds, data = encoded(["no", "yes", "ja"])
    symbols = Symbols()
    assert symbols.intern_bytes(bounds[1:], data).tolist() == [0, 1]
    assert list(symbols.names) == ["yes", "ja"]


def test_two_tables_of_the_same_ids_have_other_slots() -> None:
    one, other = Symbols(), Symbols()
    for symbols in (one, other):
        symbols.intern_numbered("u", 1_000)
    assert not np.array_equal(one._slots.values, other._slots.values)
