"""`cacheserver` as people start it: a process of its own beside a data directory that others write to."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from typer.testing import CliRunner

from cacheserver.__main__ import cli
from feedgen.config import Log
from feedgen.eventlog import EventLog
from feedgen.events import Event
from feedgen.feed.store import SqliteFeedStore
from tests.cacheserver.doubles import NOW, bulk, event
from tests.exposition import check


@contextlib.asynccontextmanager
async def cacheserver(*arguments: str, cwd: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cacheserver", *arguments, cwd=cwd,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_it_serves_what_others_generate_and_stops_cleanly(tmp_path):
    data = tmp_path / "data"
    async with await EventLog.open(Log(), data) as log:
        store = await SqliteFeedStore.open(data / "feeds.sqlite", 5.0)
        await store.put_many([("u1", bulk(["p1", "p2", "p3"], watermark=0)), ("", bulk(["t1"], watermark=0))])
        await log.append([event("delete", "a1", "p2")])
        async with cacheserver("--data", str(data), "--port", "0", cwd=tmp_path) as process, asyncio.timeout(20):
            assert process.stderr is not None
            line = (await process.stderr.readline()).decode()
            assert "listening on http://127.0.0.1:" in line
            url = line.split("listening on ")[1].split(",")[0]
            async with aiohttp.ClientSession(url) as http:

                async def ids(viewer: str) -> list[str]:
                    async with http.get(f"/v1/feeds/{viewer}") as response:
                        return [item["item_id"] for item in (await response.json())["items"]]

                assert (await http.get("/readyz")).status == 200
                assert await ids("u1") == ["p1", "p3"]  # p2 was deleted before the start
                assert await ids("stranger") == ["t1"]
                async with http.get("/metrics") as response:
                    assert "forefeed_removals_head" in check(await response.text())
                body = {"id": "d", "type": "delete", "ts": NOW, "actor": "a1", "object": "p1"}
                assert (await http.post("/v1/events", json=[body])).status == 202
                while await ids("u1") != ["p3"]:
                    pass  # the tail looks every 0.2 s; the timeout above is the bound
            process.send_signal(signal.SIGTERM)
            out, err = await process.communicate()
            assert (process.returncode, out, err) == (0, b"", b"")
        await store.close()


async def test_a_server_that_no_longer_follows_removals_is_not_ready(tmp_path):
    data = tmp_path / "data"
    async with (
        await EventLog.open(Log(), data) as log,
        cacheserver("--data", str(data), "--port", "0", cwd=tmp_path) as process,
        asyncio.timeout(20),
    ):
        assert process.stderr is not None
        url = (await process.stderr.readline()).decode().split("listening on ")[1].split(",")[0]
        async with aiohttp.ClientSession(url) as http:
            await log.append([Event("foreign", "review", NOW, "a1", "p1", {})])  # attrs.state is missing
            while (await http.get("/readyz")).status != 503:
                pass  # the tail looks every 0.2 s; the timeout above is the bound
        process.send_signal(signal.SIGTERM)
        _, err = await process.communicate()
        assert process.returncode == 0
        assert b"removals are no longer followed" in err


async def test_a_busy_port_is_one_line_and_exit_1(tmp_path):
    await (await EventLog.open(Log(), tmp_path / "data")).close()
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with cacheserver("--data", "data", "--port", str(port), cwd=tmp_path) as process, asyncio.timeout(20):
        out, err = await process.communicate()
    server.close()
    assert (process.returncode, out) == (1, b"")
    assert err.decode() == f"cacheserver: port {port} on 127.0.0.1 is in use; choose another one with --port (0: any)\n"


def test_a_wrong_setting_is_one_line_and_exit_2(tmp_path):
    (tmp_path / "wrong.yaml").write_text("cache: {max_bites: 5}")
    said = CliRunner().invoke(cli, ["--config", str(tmp_path / "wrong.yaml")])
    assert (said.exit_code, said.stdout) == (2, "")
    assert "cache.max_bites" in said.stderr
    assert said.stderr.count("\n") == 1


def test_a_data_directory_that_cannot_be_is_one_line_and_exit_1(tmp_path):
    (tmp_path / "file").write_text("")
    said = CliRunner().invoke(cli, ["--data", str(tmp_path / "file" / "data"), "--port", "0"])
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr.startswith("cacheserver: ")
    assert said.stderr.count("\n") == 1


def test_a_folder_without_a_log_is_not_served(tmp_path):
    said = CliRunner().invoke(cli, ["--data", str(tmp_path / "typo"), "--port", "0"])
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr.startswith("cacheserver: no event log in ")
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("arguments", [["--port", "70000"], ["--prot", "1"], ["what"]])
def test_a_wrong_option_is_exit_2(arguments):
    said = CliRunner().invoke(cli, arguments)
    assert (said.exit_code, said.stdout) == (2, "")


def test_help_has_an_example():
    said = CliRunner().invoke(cli, ["--help"])
    assert said.exit_code == 0
    assert "Example:" in said.stdout
