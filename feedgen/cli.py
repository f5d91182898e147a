"""The command line: what can be asked of feedgen, and how errors leave it. What a command does is in commands/.

A command imports its own parts when it runs: `feedgen import` need not wait for the web server's modules.
Exit status: 0; 1 failed; 2 wrong usage or settings; 130 interrupted. Data on stdout, everything for people on stderr.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
import uvloop

from feedgen import __version__, config
from feedgen.commands import learned
from feedgen.commands.console import Terminated, one_line, to_stderr
from feedgen.commands.options import ConfigOption, DataOption, NowOption, later_written, parse_now
from feedgen.commands.options import settings_of as _settings
from feedgen.errors import ConfigError, ForefeedError

app = typer.Typer(
    name="feedgen",
    help="Makes ranked feeds before they are asked for.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
TERMINATED: Final = 143

# Wrong usage, by the only name that typer publishes for its family.
_UsageError: Final[type[Exception]] = typer.BadParameter.__bases__[0]


def _run(body: Coroutine[Any, Any, None]) -> None:
    """Run a command's body to its end; SIGTERM ends it as Ctrl-C does. Every command goes through here."""

    async def until_done() -> None:
        this = asyncio.current_task()
        assert this is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
        await body

    try:
        uvloop.run(until_done())
    except asyncio.CancelledError:
        raise Terminated from None


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"feedgen {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _feedgen(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Makes ranked feeds before they are asked for."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(USAGE)


@app.command("import")
def import_(
    source: Annotated[
        str,
        typer.Argument(help="A JSON Lines, CSV or Parquet file, - for stdin; git:PATH; sql:NAME (import.sql.NAME)."),
    ],
    bulk: Annotated[
        bool, typer.Option("--bulk", help="SOURCE is a folder of Parquet tables, for an empty data folder.")
    ] = False,
    mapping: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="How rows of a table become events.  [default: the one whose `files` match]"),
    ] = None,
    config_path: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Import events into the event log. An event that is there already counts once.

    Lines that are no event are listed on stderr and left out; stdout says what was read, appended and refused.
    How to bring tables, databases and git histories, and a large network at once (--bulk), is in docs/importing.md.

    Example: feedgen import reviews.jsonl.gz --data ./data
    """
    settings, data_dir = _settings(config_path, data)
    if bulk:
        if mapping is not None:
            raise typer.BadParameter("--bulk reads tables of its own form, without a --mapping")
        from feedgen.commands import bulking

        _run(bulking.run(settings, data_dir, Path(source), now=time.time()))
        return
    from feedgen.commands import importing

    _run(importing.run(settings, data_dir, source, mapping, now=time.time()))


ViewersArgument = Annotated[list[str] | None, typer.Argument(metavar="[VIEWER]...", help="Viewer ids.")]
HostOption = Annotated[str | None, typer.Option("--host", help="Address to listen on.  [default: server.host]")]
PortOption = Annotated[
    int | None, typer.Option("--port", min=0, max=65_535, help="TCP port, 0: any free one.  [default: server.port]")
]


@app.command("generate")
def generate_(
    viewers: ViewersArgument = None,
    everyone: Annotated[bool, typer.Option("--all", help="Everyone the log knows.")] = False,
    now: NowOption = None,
    config_path: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Generate feeds and store them, for the viewers named or for everyone.

    Example: feedgen generate --all --now 2024-12-31T00:00:00Z --data ./data
    """
    if everyone == bool(viewers):
        raise typer.BadParameter("name the viewers, or say --all")
    from feedgen.commands import generating

    settings, data_dir = _settings(config_path, data)
    _run(generating.run(settings, data_dir, None if everyone else viewers, now=now))


@app.command("up")
def up_(
    host: HostOption = None,
    port: PortOption = None,
    now: NowOption = None,
    config_path: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Serve feeds, take events and keep feeds fresh: log, worker pool and server in one process.

    With --now, time starts there and goes on; what the log holds of later does not count.

    Example: feedgen up --data ./data --port 8080
    """
    from feedgen.commands import serving

    settings, data_dir = _settings(config_path, data)
    host, port = host or settings.server.host, settings.server.port if port is None else port
    _run(serving.run(settings, data_dir, host=host, port=port, now=now, config_path=config_path))


@app.command("demo")
def demo_(
    viewers: Annotated[int, typer.Option(min=1, max=100_000, help="People in the network.")] = 5_000,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="The same seed gives the same network.")] = 1,
    host: HostOption = None,
    port: PortOption = None,
    once: Annotated[bool, typer.Option("--once", help="Stop after one served page and print figures as JSON.")] = False,
    config_path: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """A whole social network in a minute: made from a seed, its feeds generated, and served.

    The data goes to a folder of its own in data_dir; the network's time ends with 2024.

    Example: feedgen demo --viewers 1000 --once
    """
    from feedgen.commands import demonstrating
    from feedgen.synthetic import NetworkSpec

    settings, data_dir = _settings(config_path, data)
    if data is None:
        data_dir = data_dir / f"demo-{viewers}-{seed}"
    if port is None:
        port = 0 if once else settings.server.port
    spec = NetworkSpec(viewers=viewers, seed=seed)
    _run(demonstrating.run(settings, data_dir, spec, host=host or settings.server.host, port=port, once=once))


@app.command("explain")
def explain_(
    viewer: Annotated[str, typer.Argument(metavar="VIEWER", help="A viewer id.")],
    item: Annotated[
        str | None, typer.Argument(metavar="[ITEM]", help="A post id: why is it shown, or why not?")
    ] = None,
    now: NowOption = None,
    config_path: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Say why a viewer's feed is as it is: sources, filters, and every item's score in parts.

    With ITEM: what became of that post, and which filter, bound or rank kept it out.

    Example: feedgen explain u113 --now 2024-12-31T00:00:00Z --data ./data
    """
    from feedgen.commands import inspecting

    settings, data_dir = _settings(config_path, data)
    _run(inspecting.explain(settings, data_dir, viewer, item, now=now))


@app.command("status")
def status_(
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="Ask the server there, too: http://127.0.0.1:8080")
    ] = None,
    config_path: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Say what a data folder holds: events, stored feeds, and how old they are.

    With --url also how a running server met its viewers: logins fresh, stale and missed, the age of feeds when they
    were read, generations used and wasted, whether the predicted chances came true, and the queue.

    Example: feedgen status --data ./data --url http://127.0.0.1:8080
    """
    from feedgen.commands import inspecting

    settings, data_dir = _settings(config_path, data)
    _run(inspecting.status(settings, data_dir, url))


SessionsArgument = Annotated[
    str, typer.Argument(metavar="SESSIONS", help="A JSON Lines file of logins and logouts, - for stdin.")
]


@app.command("schedule-replay")
def schedule_replay_(
    sessions: SessionsArgument,
    begin: Annotated[float, typer.Option("--from", metavar="T1", parser=parse_now, help="Where the period begins.")],
    until: Annotated[float, typer.Option("--until", metavar="T2", parser=parse_now, help="Where it ends.")],
    budget: Annotated[float, typer.Option("--budget", min=0.1, max=1_000, help="Generations per login, in the mean.")],
    dump: Annotated[
        Path | None,
        typer.Option(metavar="FILE", callback=later_written, help="Write each generation there, a line each."),
    ] = None,
    eviction: Annotated[bool, typer.Option("--eviction", help="Also compare evictions: LRU, ours, Belady's.")] = False,
    curve: Annotated[
        Path | None, typer.Option(metavar="PNG", callback=later_written, help="Draw the hit rate over budgets there.")
    ] = None,
    config_path: ConfigOption = None,
) -> None:
    """Say how a period's logins would have been met: learn from before T1, replay T1 to T2 with a virtual clock.

    Nothing later than the moment is used. Stdout has hit and stale rates and generations per login, beside baselines.

    Example: feedgen schedule-replay sessions.jsonl.gz --from 2021-07-01 --until 2022-01-01 --budget 10 --dump out.jsonl
    """
    if begin >= until:
        raise typer.BadParameter("--until must be later than --from")
    from feedgen.commands import scheduling

    settings = config.load(config_path)
    scheduling.show(settings, sessions, begin, until, budget, dump=dump, eviction=eviction, curve=curve)


learned.add_to(app)

models = typer.Typer(help="The versions of the model that ranks.", rich_markup_mode=None, no_args_is_help=False)
app.add_typer(models, name="models")


@models.command("list")
def models_list_(config_path: ConfigOption = None, data: DataOption = None) -> None:
    """Say which versions there are, what they have learnt from, and which one ranks.

    Example: feedgen models list --data ./data
    """
    from feedgen.commands import modelling

    modelling.show(*_settings(config_path, data))


@models.command("promote")
def models_promote_(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The name of a version.")],
    config_path: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Have a version rank from now on; a running server takes it up without a restart.

    Example: feedgen models promote 20240101T000000-1f0c22ab --data ./data
    """
    from feedgen.commands import modelling

    modelling.promote(*_settings(config_path, data), version)


@models.command("roll-back")
def models_roll_back_(config_path: ConfigOption = None, data: DataOption = None) -> None:
    """Have the version rank that did before the last promotion; before the first one, that is the formula.

    Example: feedgen models roll-back --data ./data
    """
    from feedgen.commands import modelling

    modelling.roll_back(*_settings(config_path, data))


def main(args: Sequence[str] | None = None) -> NoReturn:
    """The console entry point: `args` without the program's name. An error leaves as one line and an exit status."""
    _hold_standard_streams()
    try:
        status = _invoke(sys.argv[1:] if args is None else args)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Terminated:
        status = TERMINATED
    except _UsageError as error:
        status = _failed(USAGE, _usage(error))
    except ConfigError as error:
        status = _failed(USAGE, str(error))
    except ForefeedError as error:
        status = _failed(FAILED, str(error))
    except BrokenPipeError:
        status = FAILED
    except OSError as error:
        status = _failed(
            FAILED, f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
        )
    if status in (INTERRUPTED, TERMINATED):
        _failed(status, "interrupted; what was acknowledged is kept")
    _let_go_of_stdout()
    sys.exit(status)


def _invoke(args: Sequence[str]) -> int:
    status = app(list(args), prog_name="feedgen", standalone_mode=False)
    return status if isinstance(status, int) else 0


def _failed(status: int, message: str) -> int:
    to_stderr(f"feedgen: {one_line(message)}")
    return status


def _usage(error: Exception) -> str:
    message = str(getattr(error, "format_message", error.__str__)())
    context = getattr(error, "ctx", None)
    return f"{message.rstrip('.')} (see {context.command_path if context else 'feedgen'} --help)"


def _hold_standard_streams() -> None:
    """A stream that was closed by the caller gets /dev/null: else its number goes to a socket, and uvloop aborts."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _let_go_of_stdout() -> None:
    """So that a reader who left early, or a full disk, does not make the interpreter complain at exit."""
    try:
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
