"""Many readers of one missing feed, in the assembled product."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

from feedgen.synthetic import NetworkSpec, generate, write_jsonl

DAY = 86_400


async def test_a_thousand_readers_of_one_missing_viewer_cause_one_generation(
    run: Callable[..., Any], serve: Callable[..., Any], tmp_path: Path
) -> None:
    spec = NetworkSpec(viewers=60, followees_mean=20, days=5, seed=2)
    write_jsonl(generate(spec), tmp_path / "n.jsonl")
    run("import", str(tmp_path / "n.jsonl"), "--data", str(tmp_path))
    later = str(spec.end + 30 * DAY)  # nobody has been active lately, nobody is sure to come: u5 is missing until read
    (tmp_path / "config.yaml").write_text("scheduler: {least_chance: 0.999}\n")
    with serve(
        "up", "--data", str(tmp_path), "--now", later, "--port", "0", "--config", str(tmp_path / "config.yaml")
    ) as server:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(server.url, connector=connector) as client:

            async def read() -> tuple[int, str, list[str]]:
                async with client.get("/v1/feeds/u5", params={"limit": 5}) as response:
                    page = await response.json()
                    return response.status, response.headers["Cache-Status"], [i["item_id"] for i in page["items"]]

            answers = await asyncio.gather(*(read() for _ in range(1_000)))
            status, how, items = await read()
        metrics = dict(re.findall(r"^(forefeed_worker_\w+) (\S+)$", server.read("/metrics"), re.MULTILINE))
    assert {answer[0] for answer in answers} == {200}
    assert sum("collapsed" in answer[1] for answer in answers) > 0
    assert float(metrics["forefeed_worker_generated_total"]) == 1
    assert (status, how.startswith("forefeed; hit"), len(items)) == (200, True, 5)
