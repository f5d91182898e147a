"""Settings: frozen, validated, read in this file and nowhere else.

The defaults below and config.yaml say the same (a test holds them equal). A file given to `load` may leave out any key;
an unknown key, a wrong type or an impossible value stops the start with the key's path.
"""

import re
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import yaml
from msgspec import UNSET, Meta, Struct, UnsetType

from feedgen import events
from feedgen.errors import ConfigError

DEFAULT_PATH = Path("config.yaml")

_DOT = "\0"  # for a dot within a key, while paths are put together and taken apart

Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Seconds = Annotated[float, Meta(gt=0, le=1e9)]
Weight = Annotated[float, Meta(ge=-1e6, le=1e6)]
Worth = Annotated[float, Meta(ge=0, le=1e6)]
Harm = Annotated[float, Meta(ge=-1e6, le=0)]
Cap = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Positive = Annotated[float, Meta(gt=0, le=1e9)]
Rate = Annotated[float, Meta(gt=0, le=1)]
HeadName = Annotated[str, Meta(min_length=1, max_length=64)]


KeyId = Annotated[str, Meta(pattern=r"^[0-9A-Za-z._-]{1,64}$")]
Secret = Annotated[str, Meta(min_length=32, max_length=1_024)]


class _Section(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Log(_Section, frozen=True):
    """The durable event log."""

    url: str = ""
    batch_events: Annotated[int, Meta(ge=1, le=100_000)] = 5_000
    busy_timeout_s: Seconds = 30.0


class State(_Section, frozen=True):
    """How much of the past stays in memory."""

    retention_days: Positive = 365.0
    posts_per_author: Count = 2_000
    seen_days: Positive = 90.0
    seen_per_viewer: Count = 20_000
    engaged_per_viewer: Count = 20_000
    removals_kept: Count = 1_000_000


class Snapshot(_Section, frozen=True):
    """State on disk, so that a start need not fold the whole log (docs/operations.md)."""

    every_s: Seconds = 600.0
    events_min: Count = 100_000
    keep: Annotated[int, Meta(ge=0, le=100)] = 2


class Selection(_Section, frozen=True):
    """Which posts become candidates."""

    days: Positive = 30.0
    new_cap: Count = 500
    new_followee_cap: Cap = 100
    new_followee_days: Positive = 14.0
    grown_cap: Cap = 50
    grown_min: Count = 10
    grown_times: Annotated[float, Meta(ge=1, le=1e6)] = 3.0
    interest_cap: Cap = 100
    trending_cap: Cap = 100
    fetch_cap: Count = 2_000
    adult_age: Annotated[int, Meta(ge=0, le=200)] = 18
    common_language: str = "en"


class Head(_Section, frozen=True, kw_only=True):
    """One scoring head: P(action) = σ(bias + Σ weight × feature), and what the action is worth."""

    value: Weight
    bias: Weight = 0.0
    weights: dict[str, Weight]


class Ranking(_Section, frozen=True):
    """Stage one: score = Σ weight × feature (docs/design.md says how each feature is computed), or the heads."""

    freshness_weight: Weight = 0.95
    recency_weight: Weight = 0.15
    affinity_short_weight: Weight = 0.03
    affinity_mid_weight: Weight = 0.03
    affinity_long_weight: Weight = 0.12
    liked_share_weight: Weight = 0.15
    follows_back_weight: Weight = 0.6
    followed_weight: Weight = 0.65
    topic_weight: Weight = 0.65
    post_rate_weight: Weight = 0.05
    author_rate_weight: Weight = 0.4
    followers_weight: Weight = 0.12
    engagement_weight: Weight = 0.03
    momentum_weight: Weight = 0.02
    network_weight: Weight = 0.1
    freshness_hours: Positive = 12.0
    recency_hours: Positive = 168.0
    affinity_short_days: Positive = 7.0
    affinity_mid_days: Positive = 30.0
    affinity_long_days: Positive = 90.0
    engagement_half_life_hours: Positive = 24.0
    like: Worth = 1.0
    comment: Worth = 3.0
    share: Worth = 4.0
    save: Worth = 2.0
    click: Worth = 0.25
    hide: Harm = -3.0
    report: Harm = -10.0
    not_interested: Harm = -2.0
    heads: Annotated[dict[HeadName, Head], Meta(max_length=64)] = {}

    def __post_init__(self) -> None:
        """Refuse weights of features that there are not."""
        for name, head in self.heads.items():
            for feature in head.weights:
                if not hasattr(self, f"{feature}_weight"):
                    raise ValueError(f"`heads.{name}.weights.{feature}`: there is no feature {feature!r}")


class Models(_Section, frozen=True):
    """Models that are learnt, and what stands in for them (docs/models.md)."""

    scorer: Literal["formula", "linear", "trees", "stacked"] = "trees"
    dwell: Worth = 0.5
    deadline_ms: Positive = 50.0
    late_in_a_row: Count = 5
    aside_s: Seconds = 60.0
    poll_s: Seconds = 5.0
    learn_views: Cap = 2
    save_s: Seconds = 300.0
    train_at_hour: Annotated[int, Meta(ge=-1, le=23)] = -1
    refresh_hours: Annotated[float, Meta(ge=0, le=1e4)] = 0.0


class Spam(_Section, frozen=True):
    """When an author posts too much, and what that costs."""

    posts_per_day: Count = 50
    penalty: Annotated[float, Meta(ge=0, le=1e6)] = 2.0


class Diversity(_Section, frozen=True):
    """How a ranked list is re-ordered."""

    author_penalty: Annotated[float, Meta(ge=0, le=10)] = 0.1
    media_places: Annotated[int, Meta(ge=0, le=100)] = 3
    fresh_lift: Annotated[float, Meta(ge=0, le=10)] = 0.05
    fresh_hours: Positive = 6.0
    explore_share: Annotated[float, Meta(ge=0, le=1)] = 0.02
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 1


class Feed(_Section, frozen=True):
    """The feed that is kept for each viewer."""

    items: Annotated[int, Meta(ge=1, le=10_000)] = 500


class Worker(_Section, frozen=True):
    """The async worker pool and what it keeps fresh."""

    workers: Annotated[int, Meta(ge=1, le=64)] = 2
    batch_viewers: Annotated[int, Meta(ge=1, le=10_000)] = 16
    queue_viewers: Count = 10_000
    attempts: Annotated[int, Meta(ge=1, le=100)] = 5
    backoff_s: Seconds = 0.5
    backoff_max_s: Seconds = 30.0
    aside_s: Seconds = 600.0
    active_days: Positive = 14.0
    trending_s: Seconds = 60.0
    fold_poll_s: Seconds = 0.2


class Learning(_Section, frozen=True):
    """What a replay teaches and how it is judged."""

    horizon_hours: Positive = 6.0
    days: Positive = 1_825.0
    negative_rate: Rate = 0.1
    rest_rate: Rate = 0.02
    shown_rate: Rate = 1.0
    idle_rate: Rate = 0.25
    chunk_rows: Annotated[int, Meta(ge=1, le=10_000_000)] = 100_000
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 1


class Scheduler(_Section, frozen=True):
    """For whom feeds are generated before they come (docs/scheduling.md)."""

    generations_per_s: Annotated[float, Meta(gt=0, le=1e6)] = 100.0
    tick_s: Annotated[float, Meta(ge=1, le=86_400)] = 300.0
    least_chance: Annotated[float, Meta(gt=0, lt=1)] = 0.001
    longest_days: Positive = 7.0
    train_hours: Annotated[float, Meta(ge=0, le=87_600)] = 24.0


class Server(_Section, frozen=True):
    """The HTTP side of the cache server."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8080
    page_items: Annotated[int, Meta(ge=1, le=1_000)] = 20
    page_items_max: Annotated[int, Meta(ge=1, le=1_000)] = 100
    batch_feeds_max: Annotated[int, Meta(ge=1, le=10_000)] = 64
    body_max_bytes: Annotated[int, Meta(ge=1_024, le=1_073_741_824)] = 4_194_304
    writes_at_once: Annotated[int, Meta(ge=1, le=100_000)] = 64
    log_served: bool = False
    events_per_request: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    header_max_bytes: Annotated[int, Meta(ge=256, le=1_048_576)] = 8_190
    generate_deadline_s: Seconds = 0.2
    shutdown_s: Seconds = 10.0
    signing_keys: Annotated[dict[KeyId, Secret], Meta(max_length=16)] = {}
    signing_nonces_max: Count = 100_000
    misses_at_once: Annotated[int, Meta(ge=1, le=1_000_000)] = 256
    fast_lane: bool = True
    header_s: Seconds = 5.0
    idle_s: Seconds = 75.0
    connections_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    backlog_bytes: Annotated[int, Meta(ge=1_024, le=1 << 30)] = 65_536
    write_buffer_bytes: Annotated[int, Meta(ge=1_024, le=1 << 30)] = 65_536


class Cache(_Section, frozen=True):
    """Which feeds stay in memory, and for how long a feed may be served."""

    max_bytes: Annotated[int, Meta(ge=1, le=1 << 50)] = 536_870_912
    fresh_s: Seconds = 1_800.0
    stale_s: Seconds = 86_400.0
    eviction: Literal["ahead", "lru"] = "ahead"
    idle_s: Seconds = 21_600.0
    session_s: Seconds = 900.0
    session_generations: Annotated[int, Meta(ge=0, le=16)] = 2
    encoded_pages: Annotated[int, Meta(ge=0, le=1_000)] = 16


Name = Annotated[str, Meta(min_length=1, max_length=256)]


class Cell(_Section, frozen=True, kw_only=True):
    """Where a value comes from: a column, or `value`, the same for every row."""

    column: Name | UnsetType = UNSET
    value: Any = UNSET
    values: dict[str | int | bool, Any] = {}
    split: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    prefix: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Exactly one origin; what is done to a column makes no sense for a constant."""
        if (self.column is UNSET) == (self.value is UNSET):
            raise ValueError("one of `column` and `value` is wanted")
        if self.column is UNSET and (self.values or self.split is not UNSET or self.prefix is not UNSET):
            raise ValueError("`values`, `split` and `prefix` go with `column`")


class Moment(Cell, frozen=True, kw_only=True):
    """Where `ts` comes from, and how it is written. Columns that hold times, not text or numbers, need no format.

    `format`: iso, s, ms, or what strptime reads; `zone`: that of times that name none, UTC without it.
    """

    format: str = "iso"
    zone: Name | UnsetType = UNSET

    def __post_init__(self) -> None:
        """A format that can be read, a zone that is known here."""
        Cell.__post_init__(self)
        if self.format not in {"iso", "s", "ms"} and "%" not in self.format:
            raise ValueError(f"`format` {self.format!r} is none of iso, s, ms, nor of the kind '%d.%m.%Y %H:%M'")
        try:
            datetime.strptime(datetime(2000, 1, 1, tzinfo=UTC).strftime(self.format), self.format)
        except (ValueError, re.error) as error:
            raise ValueError(f"`format` {self.format!r} cannot be read: {error}") from None
        if self.zone is UNSET:
            return
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"`zone` {self.zone!r} is not known on this machine; one looks like Europe/Berlin"
            ) from None


class Mapping(_Section, frozen=True, kw_only=True):
    """How a row becomes an event. A string is a column's name, except for `type`: there it is the type itself."""

    type: Name | Cell
    ts: Name | Moment
    actor: Name | Cell
    object: Name | Cell | UnsetType = UNSET
    id: Name | Cell | UnsetType = UNSET
    attrs: dict[Name, Name | Cell] = {}

    def __post_init__(self) -> None:
        """Refuse a type nobody knows, and an object where there can be none (or none where one is needed)."""
        if not isinstance(self.type, str):
            return
        if self.type not in events.TYPES:
            raise ValueError(
                f"`type` {self.type!r} is no event type; for one that stands in a column: {{column: {self.type}}}"
            )
        if self.type in events.ALONE and self.object is not UNSET:
            raise ValueError(f"a {self.type} has no `object`")
        if self.type not in events.ALONE and self.object is UNSET:
            raise ValueError(f"a {self.type} needs an `object`")


class TableMapping(Mapping, frozen=True, kw_only=True):
    """A mapping for CSV and Parquet files."""

    files: str = ""
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] = ","
    header: bool = True

    def __post_init__(self) -> None:
        """Refuse a delimiter that means something else in CSV."""
        super().__post_init__()
        if self.delimiter in '"\r\n':
            raise ValueError("`delimiter` cannot be a quote or the end of a line")


class Query(Mapping, frozen=True, kw_only=True):
    """A mapping for the rows of a query; with `watermark`, later imports read only what came since."""

    query: Annotated[str, Meta(min_length=1)]
    watermark: Name | UnsetType = UNSET
    overlap: Annotated[float, Meta(ge=0, le=1e9)] = 60.0


class Database(_Section, frozen=True, kw_only=True):
    """A database to import from."""

    url: Annotated[str, Meta(min_length=1)]
    queries: Annotated[dict[Name, Query], Meta(min_length=1)]


class Import(_Section, frozen=True):
    """How tables become events, by name."""

    mappings: dict[Name, TableMapping] = {}
    sql: dict[Name, Database] = {}


class Settings(_Section, frozen=True):
    """Every setting of forefeed; `config.yaml` says what each one means, with its unit."""

    data_dir: Annotated[str, Meta(min_length=1)] = ".forefeed"
    log: Log = Log()
    state: State = State()
    snapshot: Snapshot = Snapshot()
    selection: Selection = Selection()
    ranking: Ranking = Ranking()
    models: Models = Models()
    spam: Spam = Spam()
    diversity: Diversity = Diversity()
    feed: Feed = Feed()
    worker: Worker = Worker()
    learning: Learning = Learning()
    scheduler: Scheduler = Scheduler()
    server: Server = Server()
    cache: Cache = Cache()
    import_: Import = msgspec.field(default=Import(), name="import")

    @property
    def window_s(self) -> float:
        """Seconds that a candidate may be old."""
        return min(self.selection.days, self.state.retention_days) * 86_400.0

    def __post_init__(self) -> None:
        """Refuse values that are possible one by one but not together."""
        if self.cache.stale_s < self.cache.fresh_s:
            raise ValueError("`cache.stale_s` is less than `cache.fresh_s`: a feed is fresh first, then stale")
        if self.server.page_items > self.server.page_items_max:
            raise ValueError("`server.page_items` is more than `server.page_items_max`")
        if self.selection.new_cap > self.selection.fetch_cap:
            raise ValueError("`selection.new_cap` is more than `selection.fetch_cap`, which bounds all sources")
        others = self.selection.grown_cap + self.selection.interest_cap + self.selection.trending_cap
        if others >= self.selection.fetch_cap:
            raise ValueError(
                "`selection.grown_cap`, `interest_cap` and `trending_cap` together leave nothing of "
                "`selection.fetch_cap` for popular posts of followees"
            )
        if self.feed.items > self.selection.fetch_cap:
            raise ValueError("`feed.items` is more than `selection.fetch_cap`: a feed cannot outgrow its candidates")
        if self.worker.backoff_max_s < self.worker.backoff_s:
            raise ValueError("`worker.backoff_max_s` is less than `worker.backoff_s`")


_SECTIONS = frozenset(name for name in Settings.__struct_fields__ if isinstance(getattr(Settings(), name), _Section))


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice (YAML would silently keep the last)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for i, key in enumerate(keys):
            if key in keys[:i]:
                raise ConfigError(f"`{key}` is given twice (line {node.value[i][0].start_mark.line + 1})")
        return super().construct_mapping(node, deep)


def parse(text: str, name: str = "config.yaml") -> Settings:
    """Settings from YAML text. Raises ConfigError naming the path of the first bad key or value."""
    try:
        raw = yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not YAML: {' '.join(str(error).split())}") from None
    except (ConfigError, RecursionError, TypeError) as error:
        raise ConfigError(f"{name}: {error}") from None
    if isinstance(raw, dict):  # a section whose keys are all commented out is there, and empty
        raw = {key: {} if value is None and key in _SECTIONS else value for key, value in raw.items()}
    try:
        return msgspec.convert({} if raw is None else raw, Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}: {_readable(_with_keys(str(error), raw))}") from None


def _with_keys(message: str, raw: Any) -> str:
    """`message` with the key at fault for each `[...]`, which is all that msgspec says of a key of a dict."""
    keys: list[str] = []
    while match := re.search(r"\$([^`]*?)\[\.\.\.\]", _filled(message, keys)):
        steps = _steps(match[1])
        for key, value in _at(raw, steps).items():
            alone = _replaced(raw, steps, {key: value})
            try:
                msgspec.convert(alone, Settings)
            except msgspec.ValidationError as error:
                raw, message = alone, str(error)
                keys.append(key)
                break
    return _filled(message, keys).replace(_DOT, ".")


def _filled(message: str, keys: list[str]) -> str:
    for key in keys:
        message = message.replace("[...]", f".{key.replace('.', _DOT)}", 1)
    return message


def _steps(path: str) -> list[str]:
    return [step.replace(_DOT, ".") for step in path.split(".")[1:]]


def _at(tree: Any, steps: list[str]) -> Any:
    return _at(tree[steps[0]], steps[1:]) if steps else tree


def _replaced(tree: Any, steps: list[str], new: Any) -> Any:
    return {**tree, steps[0]: _replaced(tree[steps[0]], steps[1:], new)} if steps else new


def _readable(message: str) -> str:
    """msgspec's `… - at `$.cache.max_bytes`` with the path first, as people look for it."""
    what, _, where = message.partition(" - at `$")
    path = where.rstrip("`").removeprefix(".")
    what = what.replace("Expected `str | object`", "Expected a column's name or a mapping with `column` or `value`")
    if "unknown field `" in what:
        key = what.split("`")[1]
        return f"unknown key `{f'{path}.{key}' if path else key}`{_alike(key, path)}"
    return f"`{path}`: {what}" if path else what


def _alike(key: str, path: str) -> str:
    """What was meant by a key that is not there, where one is like it."""
    known: Any = msgspec.to_builtins(Settings())
    for step in filter(None, path.split(".")):
        known = known.get(step) if isinstance(known, dict) else None
    close = get_close_matches(key, known if isinstance(known, dict) else (), 1)
    return f"; did you mean `{close[0]}`?" if close else ""


def load(path: Path | None = None) -> Settings:
    """Settings from `path`; without one from ./config.yaml if there is one, else the defaults.

    Raises ConfigError if the file is missing, unreadable or wrong.
    """
    if path is None:
        if not DEFAULT_PATH.exists():
            return Settings()
        path = DEFAULT_PATH
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file (--config)") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    return parse(text, str(path))
