"""`loadtest` reads what a server serves, counts what is wrong, and stops by itself."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def test_it_reads_pages_and_says_how_fast(run: Callable[..., Any], serve: Callable[..., Any], tmp_path: Path) -> None:
    with serve("demo", "--viewers", "60", "--port", "0", "--data", str(tmp_path / "d")) as server:
        port = server.url.rsplit(":", 1)[1]
        common = ("pages", "--port", port, "--seconds", "1", "--connections", "4")
        done = run(*common, "--count", "60", "--json", str(tmp_path / "r.json"), module="loadtest")
        metrics = server.read("/metrics")
    figures = json.loads(done.stdout)
    assert json.loads((tmp_path / "r.json").read_text()) == figures
    assert figures["failures"] == {}
    assert figures["pages"] > 50
    assert figures["pages_per_s"] == pytest.approx(figures["pages"] / figures["seconds"], rel=0.1)
    assert sum(figures["cache"].values()) == figures["pages"]
    assert 0 < figures["p50_ms"] <= figures["p99_ms"] <= figures["p99_9_ms"]
    assert 1 <= figures["items_per_page"] <= 20
    counted = sum(
        float(line.split()[1]) for line in metrics.splitlines() if line.startswith("forefeed_feed_reads_total")
    )
    assert figures["pages"] <= counted <= figures["pages"] + 4 + 1  # those under way at the end, and the demo's own


ANSWERS = {
    "status 500": b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}",
    "body": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnot",
    "an item came twice within a visit": b'HTTP/1.1 200 OK\r\nContent-Length: 53\r\n\r\n'
    b'{"items":[{"item_id":"p"},{"item_id":"p"}],"next":""}',
    "not HTTP": b"hello\r\n\r\n",
    "connection lost": b"",
}  # fmt: skip


@contextmanager
def wrong_server(answer: bytes) -> Iterator[int]:
    """Answers whatever it is sent with the same bytes; none: closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    while connection.recv(65_536) and answer:
                        connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.mark.parametrize("reason", ANSWERS)
def test_a_wrong_answer_is_a_failure(run: Callable[..., Any], reason: str) -> None:
    with wrong_server(ANSWERS[reason]) as port:
        done = run(
            "pages", "--port", str(port), "--seconds", "0.3", "--connections", "1", module="loadtest", check=False
        )  # fmt: skip
    assert done.returncode == 1
    figures = json.loads(done.stdout)
    assert figures["pages"] == 0
    assert any(failure.startswith(reason) for failure in figures["failures"]), figures


def test_nobody_there_is_one_line(run: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    done = run("pages", "--port", str(port), module="loadtest", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"loadtest: nobody answers at 127.0.0.1:{port}")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_other_machines_are_refused(run: Callable[..., Any], host: str) -> None:
    done = run("pages", "--host", host, module="loadtest", check=False)
    assert done.returncode == 2
    assert "loopback" in done.stderr


@pytest.mark.parametrize(
    ("option", "reason"),
    [(("--json", "none/r.json"), "none: no such folder"), (("--viewers", "none"), "none: No such file or directory")],
)
def test_what_cannot_be_is_said_before_any_load(run: Callable[..., Any], option: tuple[str, str], reason: str) -> None:
    done = run("pages", *option, module="loadtest", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert reason in done.stderr


def test_the_main_job_is_measured_whole(run: Callable[..., Any]) -> None:
    done = run("main-job", "--viewers", "60", "--rounds", "1", "--seconds", "0.5", module="loadtest")
    figures = json.loads(done.stdout)
    for name in ("import_events_per_s", "feeds_per_s", "pages_per_s", "page_p50_ms", "bytes_per_resident_feed"):
        assert 0 < figures[name]["min"] == figures[name]["median"] == figures[name]["max"], name


def test_folding_is_measured_alone_and_beside_generation(run: Callable[..., Any]) -> None:
    figures = json.loads(
        run("fold", "--viewers", "60", "--days", "5", "--batch-events", "200", module="loadtest").stdout
    )
    assert figures["measured"] == pytest.approx(figures["events"] / 2, abs=1)
    assert figures["events_per_s"] > 0
    beside = figures["beside"]
    assert beside["feeds_per_s"] > 0
    assert 0 < beside["events_per_s"] < beside["events_per_s_of_folding"]
    assert beside["events_per_s"] == pytest.approx(figures["measured"] / beside["wall_s"], rel=0.3)
