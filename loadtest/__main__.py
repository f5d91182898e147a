"""`loadtest`: bounded load against a forefeed server on this machine."""

import ipaddress
import json
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from feedgen.commands.options import later_written

try:
    from loadtest.main_job import measure as measure_main_job
    from loadtest.readers import Plan, read_pages
except ModuleNotFoundError as missing:
    raise SystemExit(
        f"loadtest: {missing.name} is not installed; install forefeed with its extra: forefeed[load]"
    ) from None

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
JsonOption = Annotated[Path | None, typer.Option("--json", callback=later_written, help="Also write the result here.")]


@contextmanager
def _failing(*errors: type[Exception]) -> Iterator[None]:
    """One line and exit 1 for these."""
    try:
        yield
    except errors as error:
        print(f"loadtest: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _print(figures: dict[str, Any], json_file: Path | None) -> None:
    print(json.dumps(figures))
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=1) + "\n")


@app.callback()
def root() -> None:
    """Bounded load against a forefeed server on this machine. It stops by itself."""


@app.command(epilog="Example: loadtest pages --port 8080 --count 5000 --seconds 10")
def pages(
    host: Annotated[str, typer.Option(help="A loopback address; other machines are refused.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 8080,
    pattern: Annotated[str, typer.Option(help="Viewer ids, {} standing for 0 … count-1.")] = "u{}",
    count: Annotated[int, typer.Option(min=1, max=10_000_000, help="How many viewers the pattern names.")] = 1_000,
    viewers: Annotated[
        Path | None, typer.Option(help="A file of viewer ids, one a line, instead of the pattern.")
    ] = None,
    connections: Annotated[int, typer.Option(min=1, max=1_000)] = 32,
    seconds: Annotated[float, typer.Option(min=0.1, max=3_600)] = 10.0,
    items: Annotated[int, typer.Option(min=1, max=1_000, help="Items per page.")] = 20,
    depth: Annotated[float, typer.Option(min=1.0, max=100.0, help="Mean pages per visit.")] = 2.5,
    seed: Annotated[int, typer.Option()] = 1,
    json_file: JsonOption = None,
) -> None:
    """Closed-loop page reads: viewers by Zipf, visits that page on, every body checked. Prints one JSON object."""
    if not _is_loopback(host):
        raise typer.BadParameter(f"{host} is not a loopback address; load goes to this machine only")
    names = _read_names(viewers) if viewers else [pattern.replace("{}", str(n)) for n in range(count)]
    plan = Plan(host, port, names, connections, seconds, items, depth, seed=seed)
    try:
        tally = uvloop.run(read_pages(plan))
    except OSError as error:
        print(f"loadtest: nobody answers at {host}:{port}: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    _print({"connections": connections, "seconds": round(tally.seconds, 2), **tally.report()}, json_file)
    if tally.failures or not tally.latencies_s:
        print("loadtest: there were failures; see the JSON", file=sys.stderr)
        raise typer.Exit(1)


@app.command("main-job", epilog="Example: loadtest main-job --viewers 1000 --rounds 3")
def main_job(
    viewers: Annotated[int, typer.Option(min=1, max=100_000)] = 2_000,
    rounds: Annotated[int, typer.Option(min=1, max=100)] = 5,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="Of reading, per round.")] = 5.0,
    connections: Annotated[int, typer.Option(min=1, max=1_000)] = 16,
    json_file: JsonOption = None,
) -> None:
    """Import, generate, serve and read a seeded network with real processes. Prints one JSON object."""
    with _failing(RuntimeError, OSError):
        figures = measure_main_job(viewers, rounds, seconds, connections, _tell)
    _print(figures, json_file)


@app.command("serve", epilog="Example: loadtest serve --viewers 20000 --rounds 5 --json serve.json --plot serve.png")
def serve(
    viewers: Annotated[int, typer.Option(min=100, max=1_000_000, help="Resident feeds.")] = 100_000,
    items: Annotated[int, typer.Option(min=40, max=2_000, help="Items in each.")] = 500,
    store_viewers: Annotated[int, typer.Option(min=10, max=100_000, help="Feeds in Redis.")] = 20_000,
    rounds: Annotated[int, typer.Option(min=1, max=100)] = 5,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="Of load, per server and round.")] = 4.0,
    connections: Annotated[int, typer.Option(min=1, max=1_000)] = 32,
    drawn: Annotated[int, typer.Option(min=1_000, max=5_000_000, help="Requests drawn ahead, sent in turn.")] = 200_000,
    json_file: JsonOption = None,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", callback=later_written, help="Also draw it here, as PNG.")
    ] = None,
) -> None:
    """Our fast lane, our ordinary path, nginx, Redis and FastAPI side by side. Prints one JSON object.

    Servers on the first core, load on the last. Needs wrk, and nginx and redis-server for their part, on the PATH.
    """
    from loadtest.chart import plot, table
    from loadtest.serving_bench import Size, measure

    size = Size(viewers, items, store_viewers, rounds, seconds, connections, drawn)
    with _failing(RuntimeError, OSError, ModuleNotFoundError):
        figures = measure(size, _tell)
        print(table(figures), file=sys.stderr)
        if plot_file is not None:
            plot(figures, plot_file)
    _print(figures, json_file)


@app.command("generate", epilog="Example: loadtest generate --viewers 10000 --viewers 100000 --json generate.json")
def generate(
    viewers: Annotated[
        list[int] | None, typer.Option(min=20, max=1_000_000, help="Default 10,000; several are measured in turns.")
    ] = None,
    followees: Annotated[int, typer.Option(min=1, max=10_000, help="Of each viewer.")] = 500,
    posts_each: Annotated[float, typer.Option(min=0.001, max=100, help="Posts per viewer, all of them new.")] = 0.85,
    rounds: Annotated[int, typer.Option(min=1, max=100)] = 5,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="Of each way, per round.")] = 3.0,
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="Viewers per call.")] = 64,
    peers: Annotated[bool, typer.Option(help="Measure PostgreSQL and Redis too.")] = True,
    stages: Annotated[int, typer.Option(min=1, max=2, help="2: trees score the best of stage one anew.")] = 1,
    json_file: JsonOption = None,
) -> None:
    """Feeds a second of one caller, beside a SQL query and Redis sorted sets merged on read. Prints one JSON object.

    With the settings of loadtest/yardstick.yaml, which do what the peers do and rank, and with the defaults (`ships`).
    Of several sizes, also how the CPU time of a feed grows from the first. What has no room in memory or in TMPDIR is
    left out, with the reason.
    """
    from loadtest.generate_bench import Plan as Generation
    from loadtest.generate_bench import measure
    from loadtest.generate_table import table

    plan = Generation(followees, posts_each, rounds=rounds, seconds=seconds, batch=batch, peers=peers, stages=stages)
    with _failing(RuntimeError, OSError):
        figures = measure(viewers or [10_000], plan, _tell)
    print(table(figures), file=sys.stderr)
    _print(figures, json_file)


@app.command("signals", epilog="Example: loadtest signals --json signals.json")
def signals(
    viewers: Annotated[int, typer.Option(min=64, max=1_000_000, help="Of the network.")] = 4_000,
    followees: Annotated[int, typer.Option(min=1, max=10_000, help="Of each viewer.")] = 500,
    posts_each: Annotated[float, typer.Option(min=0.001, max=100, help="Posts per viewer, all of them new.")] = 0.85,
    json_file: JsonOption = None,
) -> None:
    """Processor time of the signals of a viewer's best 500 candidates, and of a feed with one stage and with two."""
    from feedgen.errors import ModelError
    from loadtest.signals_bench import measure

    with _failing(ModelError):
        figures = measure(viewers, followees, posts_each)
    _print(figures, json_file)


@app.command("beside", epilog="Example: loadtest beside --rate 5000 --json beside.json")
def beside(
    viewers: Annotated[int, typer.Option(min=20, max=1_000_000, help="Whose feeds are generated in turn.")] = 10_000,
    resident: Annotated[int, typer.Option(min=100, max=1_000_000, help="Feeds that are read.")] = 20_000,
    rate: Annotated[float, typer.Option(min=10, max=1e6, help="Pages a second, open loop.")] = 5_000.0,
    seconds: Annotated[float, typer.Option(min=0.2, max=600, help="Of each part, per round.")] = 5.0,
    rounds: Annotated[int, typer.Option(min=1, max=100)] = 5,
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="Viewers generated per call.")] = 16,
    json_file: JsonOption = None,
) -> None:
    """Latency of page reads with and without a thread of the server that generates without pause. Prints JSON."""
    from loadtest.beside_bench import Plan as Beside
    from loadtest.beside_bench import measure

    with _failing(RuntimeError, OSError):
        figures = measure(Beside(viewers, resident, rate, seconds, rounds, batch))
    _print(figures, json_file)


@app.command("network", epilog="Example: loadtest network ./network --viewers 100000")
def network(
    folder: Annotated[Path, typer.Argument(help="Where the Parquet tables go.")],
    viewers: Annotated[int, typer.Option(min=1, max=2_000_000)] = 100_000,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1)] = 1,
) -> None:
    """A seeded network for `feedgen import --bulk`: 100 follows, 10 posts, 100 views, 50 engagements a viewer."""
    from feedgen.errors import ForefeedError
    from loadtest.large import make

    with _failing(ForefeedError, OSError):
        print(json.dumps(make(viewers, seed, folder, _tell)))


@app.command("restart", epilog="Example: loadtest restart --viewers 100000 --json restart.json")
def restart(
    viewers: Annotated[int, typer.Option(min=200, max=2_000_000)] = 100_000,
    live: Annotated[int, typer.Option(min=1, max=100_000, help="Events a second beside the second snapshot.")] = 1_000,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Reads, warm and cold.")] = 3,
    seed: Annotated[int, typer.Option()] = 1,
    json_file: JsonOption = None,
) -> None:
    """A large state in memory, written as a snapshot, and read back. Prints one JSON object.

    100 follows, 10 posts, 100 views and 50 likes a viewer, drawn alike, loaded as arrays; 14 GB at a million viewers.
    """
    from loadtest.restart import measure

    with _failing(RuntimeError, OSError):
        figures = measure(viewers, live, rounds, seed, _tell)
    _print(figures, json_file)


@app.command("rank", epilog="Example: loadtest rank --viewers 1000 --seed 7")
def rank(
    viewers: Annotated[int, typer.Option(min=50, max=100_000, help="Of the synthetic network.")] = 1_000,
    followees: Annotated[float, typer.Option(min=1, max=10_000, help="Of each viewer, in the mean.")] = 80.0,
    days: Annotated[int, typer.Option(min=2, max=365, help="That the log goes back.")] = 30,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1)] = 7,
    processes: Annotated[int, typer.Option(min=1, max=64)] = 2,
    json_file: JsonOption = None,
) -> None:
    """Models trained on a synthetic network's log: NDCG@20 beside the order by true expected worth. Prints JSON."""
    from feedgen.config import Settings
    from feedgen.errors import ForefeedError
    from feedgen.synthetic import NetworkSpec
    from loadtest.ranking_bench import measure

    spec = NetworkSpec(viewers=viewers, followees_mean=followees, days=days, seed=seed)
    with _failing(ForefeedError, OSError):
        figures = measure(spec, Settings(), processes, _say_logins)
    _print(figures, json_file)


@app.command("fold", epilog="Example: loadtest fold --viewers 5000 --json fold.json")
def fold(
    viewers: Annotated[int, typer.Option(min=20, max=100_000, help="Of the seeded network.")] = 5_000,
    days: Annotated[int, typer.Option(min=2, max=365)] = 30,
    warm_share: Annotated[float, typer.Option(min=0, max=0.99, help="Events folded first, unmeasured.")] = 0.5,
    batch_events: Annotated[int, typer.Option(min=1, max=100_000, help="Events folded together.")] = 5_000,
    json_file: JsonOption = None,
) -> None:
    """Events folded a second on one core, an epoch each second included, the log not.

    And beside a thread that generates. Prints one JSON object.
    """
    from loadtest.fold_bench import Plan as Folding
    from loadtest.fold_bench import measure

    plan = Folding(viewers, days, warm_share, batch_events, seed=1)
    figures = measure(plan, _tell)
    _print(figures, json_file)


@app.command("schedule", epilog="Example: loadtest schedule --viewers 100000 --viewers 1000000")
def schedule(
    viewers: Annotated[
        list[int] | None, typer.Option(min=100, max=10_000_000, help="Sizes.  [default: 1000000]")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, max=10_000, help="Steps of five minutes.")] = 24,
) -> None:
    """The login predictor alone, and steps of the scheduler over communities of these sizes. Prints one JSON object."""
    from loadtest.schedule_bench import measure

    print(json.dumps(measure(viewers or [1_000_000], steps)))


def _say_logins(done: int, of: int) -> None:
    if done % 2_000 == 0:
        print(f"loadtest: rows of {done:,} of {of:,} logins", file=sys.stderr)


@app.command("hostile", epilog="Example: loadtest hostile --odd 10000")
def hostile(
    viewers: Annotated[int, typer.Option(min=100, max=1_000_000, help="Resident feeds.")] = 5_000,
    rate: Annotated[float, typer.Option(min=10, max=1e6, help="Right requests a second, open loop.")] = 2_000.0,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="Of each part.")] = 10.0,
    half_open: Annotated[int, typer.Option(min=0, max=100_000, help="Connections with half a request.")] = 5_000,
    slow: Annotated[int, typer.Option(min=0, max=10_000, help="Connections that ask and do not read.")] = 100,
    odd: Annotated[int, typer.Option(min=0, max=100_000_000, help="Odd requests.")] = 1_000_000,
    odd_seconds: Annotated[float, typer.Option(min=1, max=36_000, help="For them, at most.")] = 400.0,
    json_file: JsonOption = None,
) -> None:
    """A server of its own under half-open connections, slow readers, floods of misses, odd requests. Prints JSON."""
    with _failing(RuntimeError, OSError, ModuleNotFoundError):
        from loadtest.hostile import Plan as Hostility
        from loadtest.hostile import run

        plan = Hostility(viewers, rate, seconds, half_open, slow, odd, odd_seconds)
        figures = run(plan, _tell)
    _print(figures, json_file)
    if figures["odd_requests"]["wrong"]:
        print("loadtest: there were wrong answers; see the JSON", file=sys.stderr)
        raise typer.Exit(1)


def _is_loopback(host: str) -> bool:
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(address).is_loopback for address in found)


def _read_names(path: Path) -> list[str]:
    try:
        names = path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{path} is no file of viewer ids, one a line") from None
    if not names:
        raise typer.BadParameter(f"{path} names no viewer")
    return names


def main() -> None:
    """Console entry point."""
    app()


if __name__ == "__main__":
    main()
