"""`loadtest`: bounded load against a forefeed server on this machine."""

import ipaddress
import json
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvloop

try:
    from loadtest.main_job import measure
    from loadtest.readers import Plan, read_pages
except ModuleNotFoundError as missing:
    raise SystemExit(
        f"loadtest: {missing.name} is not installed; install forefeed with its extra: forefeed[load]"
    ) from None

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


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
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the result here.")] = None,
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
    result = json.dumps({"connections": connections, "seconds": round(tally.seconds, 2), **tally.report()})
    print(result)
    if json_file is not None:
        json_file.write_text(result + "\n")
    if tally.failures or not tally.latencies_s:
        print("loadtest: there were failures; see the JSON", file=sys.stderr)
        raise typer.Exit(1)


@app.command("main-job", epilog="Example: loadtest main-job --viewers 1000 --rounds 3")
def main_job(
    viewers: Annotated[int, typer.Option(min=1, max=100_000)] = 2_000,
    rounds: Annotated[int, typer.Option(min=1, max=100)] = 5,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="Of reading, per round.")] = 5.0,
    connections: Annotated[int, typer.Option(min=1, max=1_000)] = 16,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the result here.")] = None,
) -> None:
    """Import, generate, serve and read a seeded network with real processes. Prints one JSON object."""
    try:
        figures = measure(viewers, rounds, seconds, connections, lambda line: print(line, file=sys.stderr))
    except (RuntimeError, OSError) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    result = json.dumps(figures)
    print(result)
    if json_file is not None:
        json_file.write_text(result + "\n")


def _is_loopback(host: str) -> bool:
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(address).is_loopback for address in found)


def _read_names(path: Path) -> list[str]:
    try:
        names = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path}: {error}") from None
    if not names:
        raise typer.BadParameter(f"{path} names no viewer")
    return names


def main() -> None:
    """Console entry point."""
    app()


if __name__ == "__main__":
    main()
