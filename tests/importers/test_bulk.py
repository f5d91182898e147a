"""A bulk import comes to the state that folding its rows as events comes to; a bad row is named and nothing is kept."""

import random
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.errors import ImportFailed
from feedgen.events import ENGAGEMENTS, FEEDBACK, Event
from feedgen.importers import bulk
from feedgen.importers.bulk import BulkReader
from feedgen.pipeline import Pipeline
from feedgen.state.logins import device_code
from feedgen.state.state import State
from feedgen.synthetic import NetworkSpec, generate
from feedgen.synthetic.tables import REST, Tables
from tests.whole import feeds, told, whole
from tests.worlds import DAY, HOUR, NOW, PEOPLE, POSTS, SMALL, batches, events

pyarrow = pytest.importorskip("pyarrow", reason="bulk imports need the extra `parquet`")
pyarrow_parquet = pytest.importorskip("pyarrow.parquet")

Rows = dict[str, list[dict[str, Any]]]
KINDS: Final = sorted((ENGAGEMENTS | FEEDBACK) - {"unlike"})


def drawn(rng: random.Random) -> Rows:
    """Rows of every table: small, so that many meet; some columns and values left out."""

    def ts() -> float:
        return NOW - rng.choice((0.0, 0.5, HOUR, DAY, DAY, 2 * DAY, 5 * DAY)) - rng.randrange(3)

    def some(possible: tuple[Any, ...]) -> Any:
        return rng.choice((None, *possible))

    people, posts = [*PEOPLE, "猫"], list(POSTS)
    rows: Rows = {
        "users": [
            {
                "id": user,
                "ts": ts(),
                "language": some(("en", "de", "")),
                "birth_year": some((1_990, 2_020)),
                "verified": some((True, False)),
                "location": some(("here", "")),
                "utc_offset_min": some((-60, 0)),
            }
            for user in rng.sample(people, 4)
        ],
        "posts": [
            {
                "id": post,
                "author": rng.choice(people),
                "ts": ts(),
                "topics": some((["tea"], [], ["jazz", "tea", "jazz"], [f"t{n}" for n in range(20)])),
                "media": some(("image", "none")),
                "language": some(("en", "fr", "")),
                "min_age": some((0, 18)),
                "sensitive": some((True, False)),
                "length": some((0, 7, (1 << 31) - 1)),
                "location": some(("here", "")),
            }
            for post in rng.sample(posts, rng.randrange(16))
        ],
        "follows": [
            dict(zip(("viewer", "author", "ts"), (*rng.sample(people, 2), ts()), strict=True)) for _ in range(12)
        ],
        "logins": [
            {"viewer": rng.choice(people), "ts": ts(), "device": some(("phone", "tv", "toaster", ""))} for _ in range(4)
        ],
        "views": [{"viewer": rng.choice(people), "post": rng.choice(posts), "ts": ts()} for _ in range(20)],
        "engagements": [
            {"viewer": rng.choice(people), "post": rng.choice(posts), "kind": rng.choice(KINDS), "ts": ts()}
            for _ in range(30)
        ],
    }
    return {table: found for table, found in rows.items() if rng.random() < 0.9}


def as_events(rows: Rows) -> list[Event]:
    """What docs/importing.md says that each row means."""

    def said(row: dict[str, Any], *names: str) -> dict[str, Any]:
        return {name: row[name] for name in names if row.get(name) is not None}

    users = ("language", "birth_year", "verified", "location", "utc_offset_min")
    posts = ("topics", "media", "language", "min_age", "sensitive", "length", "location")
    meant: dict[str, Callable[[dict[str, Any]], Event]] = {
        "users": lambda row: Event("", "user", row["ts"], row["id"], None, said(row, *users)),
        "posts": lambda row: Event("", "post", row["ts"], row["author"], row["id"], said(row, *posts)),
        "follows": lambda row: Event("", "follow", row["ts"], row["viewer"], row["author"]),
        "logins": lambda row: Event("", "login", row["ts"], row["viewer"], None, said(row, "device")),
        "views": lambda row: Event("", "view", row["ts"], row["viewer"], None, {"objects": [row["post"]]}),
        "engagements": lambda row: Event("", row["kind"], row["ts"], row["viewer"], row["post"]),
    }
    return [meant[table](row) for table, found in rows.items() for row in found]


def written(rows: Rows, folder: Path, rng: random.Random) -> None:
    """As Parquet: one file or two, texts plain or as dictionaries."""
    for table, found in rows.items():
        middle = rng.choice((0, len(found) // 2))
        for name, part in ((f"{table}.parquet", found[:middle]), (f"{table}-2.parquet", found[middle:])):
            if not part:
                continue
            made = pyarrow.Table.from_pylist(part)
            if rng.random() < 0.5:
                for place, field in enumerate(made.schema):
                    if pyarrow.types.is_string(field.type):
                        made = made.set_column(place, field.name, made.column(place).dictionary_encode())
            pyarrow_parquet.write_table(made, folder / name)


def loaded(folder: Path) -> State:
    state = State(SMALL.state, SMALL.ranking)
    BulkReader(folder, NOW).load(state, lambda table, count: None)
    return state


def everything(state: State) -> tuple[bytes, dict[str, bytes]]:
    return whole(state, NOW), feeds(state, Pipeline(state, SMALL), NOW)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 32), events(max_size=40))
def test_rows_in_bulk_are_their_events_folded_and_so_it_goes_on(seed: int, later: list[Event]) -> None:
    rng = random.Random(seed)
    rows = drawn(rng)
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        written(rows, Path(name), rng)
        patch.setattr(bulk, "_ROWS", rng.choice((3, 1 << 20)))
        state = loaded(Path(name)) if any(rows.values()) else State(SMALL.state, SMALL.ranking)
    straight = State(SMALL.state, SMALL.ranking)
    straight.fold([(0, event) for event in as_events(rows)])
    assert told(state, NOW) == told(straight, NOW)
    assert everything(state) == everything(straight)
    for batch in batches(later, (7,)):
        state.fold(batch)
        straight.fold(batch)
    assert told(state, NOW) == told(straight, NOW)
    assert everything(state) == everything(straight)


def as_tables(**tables: Any) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        for name, columns in tables.items():
            pyarrow_parquet.write_table(pyarrow.table(columns), folder / f"{name}.parquet")

    return write


def test_ids_may_be_numbers_and_times_may_be_times(tmp_path: Path) -> None:
    micros = pyarrow.array([int(NOW * 1e6), int((NOW - 0.5) * 1e6)], pyarrow.timestamp("us", "UTC"))
    as_tables(
        follows={"viewer": [5, -7], "author": ["猫", "b"], "ts": micros},
        logins={"viewer": pyarrow.array(["5", "x"]).dictionary_encode(), "ts": [int(NOW), 0]},
    )(tmp_path)
    state = loaded(tmp_path)
    assert sorted(state.users.names) == ["-7", "5", "b", "x", "猫"]
    five, cat, minus = (state.users.find(name) for name in ("5", "猫", "-7"))
    assert five is not None
    assert cat is not None
    assert minus is not None
    assert state.graph.follows(five, cat)
    assert state.logins.last(five) == NOW
    assert state.graph.followed_at(minus).tolist() == [NOW - 0.5]


def not_utf8(*texts: bytes) -> Any:
    """Texts as a careless writer leaves them."""
    plain = pyarrow.array(texts, pyarrow.binary())
    return pyarrow.Array.from_buffers(pyarrow.string(), len(plain), plain.buffers())


def test_what_only_a_dictionary_holds_is_nobody(tmp_path: Path) -> None:
    places = pyarrow.array([1, None, 1, 3], pyarrow.int8())
    kinds = pyarrow.DictionaryArray.from_arrays(places, pyarrow.array(["", "phone", "boat", "tv"]))
    viewers = pyarrow.DictionaryArray.from_arrays(pyarrow.array([2, 2, 1, 2]), pyarrow.array(["", "b", "a", "ghost"]))
    as_tables(logins={"viewer": viewers, "ts": [1.0, 2.0, 3.0, 4.0], "device": kinds})(tmp_path)
    state = loaded(tmp_path)
    assert sorted(state.users.names) == ["a", "b"]
    found = {name: state.logins.device(state.users.intern(name)) for name in ("a", "b")}
    assert found == {"a": device_code("tv"), "b": device_code("phone")}


BAD: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "no UTF-8": ({"logins": {"viewer": not_utf8(b"a", b"b\xff"), "ts": [1, 2]}}, "row 2: 'viewer' is no UTF-8"),
    "an empty id": (
        {"logins": {"viewer": ["a", ""], "ts": [1.0, 1.0]}},
        "logins.parquet: row 2: 'viewer' is not 1 to 128",
    ),
    "a long id": ({"logins": {"viewer": ["猫" * 43], "ts": [1.0]}}, "row 1: 'viewer' is not 1 to 128 bytes long"),
    "no id": ({"logins": {"viewer": ["a", None], "ts": [1.0, 1.0]}}, "row 2: no 'viewer'"),
    "no time": ({"logins": {"viewer": ["a", "b"], "ts": [1.0, None]}}, "row 2: no 'ts'"),
    "a time to come": (
        {"logins": {"viewer": ["a"], "ts": [NOW + 2 * DAY]}},
        "row 1: 'ts' is no time up to a day from now",
    ),
    "no number": ({"logins": {"viewer": ["a"], "ts": [float("nan")]}}, "row 1: 'ts' is no time"),
    "before the epoch": ({"logins": {"viewer": ["a"], "ts": [-1]}}, "row 1: 'ts' is no time"),
    "a text as a time": ({"logins": {"viewer": ["a"], "ts": ["now"]}}, "column 'ts' holds string; times or seconds"),
    "a real id": ({"logins": {"viewer": [1.5], "ts": [1]}}, "column 'viewer' holds double; texts are wanted"),
    "a kind": (
        {"engagements": {"viewer": ["a"], "post": ["p"], "kind": ["lik"], "ts": [1]}},
        "row 1: 'kind' is none of like,",
    ),
    "oneself": (
        {"follows": {"viewer": ["a", "b"], "author": ["b", "b"], "ts": [1, 1]}},
        "row 2: nobody follows themselves",
    ),
    "a column that lacks": ({"follows": {"viewer": ["a"], "ts": [1]}}, "has no column 'author'"),
    "a column too many": ({"logins": {"viewer": ["a"], "ts": [1], "why": [1]}}, "nobody knows what column 'why' means"),
    "a post twice": (
        {"posts": {"id": ["p", "p"], "author": ["a", "b"], "ts": [1, 1]}},
        "row 2: this 'id' is there twice",
    ),
    "a user twice": ({"users": {"id": ["b", "a", "a"], "verified": [True] * 3}}, "row 3: this 'id' is there twice"),
    "an empty topic": (
        {"posts": {"id": ["p"], "author": ["a"], "ts": [1], "topics": [["x", ""]]}},
        "row 1: a topic is empty",
    ),
    "no topic": (
        {"posts": {"id": ["p"], "author": ["a"], "ts": [1], "topics": [["x", None]]}},
        "row 1: a topic is null",
    ),
    "one topic": ({"posts": {"id": ["p"], "author": ["a"], "ts": [1], "topics": ["x"]}}, "lists of texts are wanted"),
    "an age": (
        {"posts": {"id": ["p"], "author": ["a"], "ts": [1], "min_age": [201]}},
        "row 1: 'min_age' is not 0 to 200",
    ),
    "a medium": (
        {"posts": {"id": ["p"], "author": ["a"], "ts": [1], "media": ["film"]}},
        "row 1: 'media' is none of none,",
    ),
    "a flag": ({"posts": {"id": ["p"], "author": ["a"], "ts": [1], "sensitive": ["no"]}}, "true and false are wanted"),
    "a long text": ({"users": {"id": ["p"], "language": ["x" * 257]}}, "a text of more than 256 characters"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_bad_is_named(name: str, tmp_path: Path) -> None:
    tables, reason = BAD[name]
    as_tables(**tables)(tmp_path)
    with pytest.raises(ImportFailed) as refused:
        loaded(tmp_path)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    ids = pyarrow.array(["a"])
    table = pyarrow.Table.from_arrays([ids, ids, pyarrow.array([1.0])], names=["viewer", "viewer", "ts"])
    pyarrow_parquet.write_table(table, tmp_path / "logins.parquet")
    with pytest.raises(ImportFailed, match=r"logins\.parquet: has column 'viewer' twice"):
        BulkReader(tmp_path, NOW)


def test_a_narrow_column_may_say_nothing(tmp_path: Path) -> None:
    as_tables(users={"id": ["a"], "birth_year": pyarrow.array([None], pyarrow.int8())})(tmp_path)
    state = loaded(tmp_path)
    assert state.about_users.decided(0, "birth_year") is None


def test_rows_are_counted_through_the_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_ROWS", 2)
    as_tables(logins={"viewer": ["a", "b", "c", "d", ""], "ts": [1, 1, 1, 1, 1]})(tmp_path)
    with pytest.raises(ImportFailed, match="row 5: "):
        loaded(tmp_path)
    as_tables(users={"id": ["a", "b", "c", "a"]})(tmp_path)
    with pytest.raises(ImportFailed, match="row 4: this 'id' is there twice"):
        loaded(tmp_path)


def test_a_folder_without_tables_and_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ImportFailed, match=r"no users\.parquet, posts\.parquet"):
        BulkReader(tmp_path, NOW)
    (tmp_path / "views.parquet").write_text("no table")
    with pytest.raises(ImportFailed, match=r"views\.parquet: cannot be read"):
        BulkReader(tmp_path, NOW)


def test_the_tables_of_a_network_are_its_events(tmp_path: Path) -> None:
    spec = NetworkSpec(viewers=60, days=10, followees_mean=12, hide_rate=0.1, report_rate=0.05, logins_per_viewer_day=2)
    network = generate(spec)
    counts = Tables(network).write(tmp_path)
    assert counts["views"] == len(network.outcome.shown)
    found = {table: [row for path in sorted(tmp_path.glob(f"{table}*.parquet"))
                     for row in pyarrow_parquet.read_table(path).to_pylist()] for table in bulk.TABLES}  # fmt: skip
    as_they_were = [event for event in network.events() if event.type not in {"edit", "logout"}]
    split = [Event("", "view", event.ts, event.actor, None, {"objects": [post]})
             for event in as_they_were if event.type == "view" for post in event.attrs["objects"]]  # fmt: skip
    wanted = [event for event in as_they_were if event.type != "view"] + split
    from_tables = as_events(found) + from_lines(tmp_path / REST)
    assert sorted(map(plain, from_tables)) == sorted(map(plain, wanted))


def from_lines(path: Path) -> list[Event]:
    import msgspec

    lines = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
    assert len({line["id"] for line in lines}) == len(lines)
    return [
        Event("", line["type"], line["ts"], line["actor"], line["object"], line.get("attrs", {})) for line in lines
    ]  # fmt: skip


def plain(event: Event) -> tuple[str, float, str, str, str]:
    """Without the event's id, and what the tables leave out of a post."""
    left_out = {"length", "location"} if event.type == "post" else {"value"}
    about = {name: value for name, value in event.attrs.items() if name not in left_out}
    about.setdefault("min_age", 0)
    about.setdefault("sensitive", False)
    return event.type, float(event.ts), event.actor, event.object or "", repr(sorted(about.items()))
