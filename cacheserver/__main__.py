"""`cacheserver`: serves feeds alone, beside workers elsewhere that write to the same data directory."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from cacheserver.app import make_app
from cacheserver.residency import Residency
from cacheserver.server import log_to_stderr, run, serve, until_stopped
from cacheserver.services import Services
from cacheserver.tail import RemovalTail
from feedgen import config
from feedgen.config import Settings
from feedgen.errors import ConfigError, ForefeedError
from feedgen.eventlog import EventLog, holds_log
from feedgen.feed.removals import RemovalIndex
from feedgen.feed.store import SqliteFeedStore

_log = logging.getLogger(__name__)

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@cli.command(epilog="Example: cacheserver --data .forefeed --port 8081")
def serve_alone(
    config_file: Annotated[
        Path | None, typer.Option("--config", help="Settings; without it ./config.yaml, if there is one.")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Folder of the event log and the stored feeds.")] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65_535, help="TCP port; 0: any free one.")] = None,
) -> None:
    """Serve the feeds that workers elsewhere keep in the data directory; generate none.

    Takes events and views into the log. SIGTERM and Ctrl-C finish what is in flight, then stop.
    """
    log_to_stderr()
    try:
        settings = config.load(config_file)
        run(_serve(settings, data or Path(settings.data_dir), host or settings.server.host, port))
    except ForefeedError as error:
        typer.echo(f"cacheserver: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None


async def _serve(settings: Settings, data_dir: Path, host: str, port: int | None) -> None:
    if not holds_log(settings.log, data_dir):
        raise ForefeedError(f"no event log in {data_dir}; give the folder that `feedgen up` or `feedgen import` filled")
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(await EventLog.open(settings.log, data_dir))
        store = await SqliteFeedStore.open(data_dir / "feeds.sqlite", settings.log.busy_timeout_s)
        stack.push_async_callback(store.close)
        removals = RemovalIndex(settings.state.removals_kept)
        tail = RemovalTail(log, removals, settings)
        await tail.catch_up()  # before the first answer: a post deleted meanwhile must not come back
        await stack.enter_async_context(_running(tail))
        services = Services(
            settings=settings,
            clock=time.time,
            monotonic=time.monotonic,
            residency=Residency(settings, time.monotonic, removals),
            store=store,
            log=log,
            ready=lambda: tail.current,
            families=lambda: _exposed(removals),
        )
        listening = await serve(make_app(services), settings, host, settings.server.port if port is None else port)
        stack.push_async_callback(listening.stop)
        typer.echo(f"cacheserver: listening on {listening.url}, data in {data_dir}", err=True)
        await until_stopped()


def _exposed(removals: RemovalIndex) -> Iterator[Metric]:
    yield GaugeMetricFamily("forefeed_removals_head", "Log offset up to which removals are known", value=removals.head)


@asynccontextmanager
async def _running(tail: RemovalTail) -> AsyncIterator[None]:
    task = asyncio.create_task(tail.follow())
    task.add_done_callback(_surface)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):  # a failure has been logged when it happened
            await task


def _surface(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        _log.error("removals are no longer followed; restart this server", exc_info=task.exception())


def main() -> None:
    """Entry point."""
    cli(prog_name="cacheserver")


if __name__ == "__main__":
    main()
