"""Few go in in one turn of the loop, in the order they came; whoever is gone is not let in."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheserver.turnstile import Turnstile
from tests.cacheserver.doubles import until


class Client:
    """Counts when it was let in, in turns of the loop; each may leave, or fail, when it is."""

    def __init__(self, number: int, log: list[int]) -> None:
        self.number = number
        self.log = log
        self.fails = False

    def let_in(self) -> None:
        self.log.append(self.number)
        if self.fails:
            raise RuntimeError("a fault in one connection")


@given(arrivals=st.lists(st.integers(0, 9), max_size=12), each=st.integers(1, 3), gone=st.sets(st.integers(0, 60)))
def test_everyone_goes_in_once_in_order_and_few_at_a_time(arrivals: list[int], each: int, gone: set[int]) -> None:
    async def run() -> None:
        turnstile = Turnstile(each)
        log: list[int] = []
        came: list[int] = []
        left: set[int] = set()
        for many in [*arrivals, *[0] * 110]:
            before = len(log)
            await asyncio.sleep(0)
            assert len(log) - before <= each
            went_in = len(log) - before
            for _ in range(many):
                client = Client(len(came), log)
                came.append(client.number)
                waiting = len(turnstile)
                if turnstile.enter(client):
                    assert waiting == 0, "nobody overtakes who waits"
                    went_in += 1
                    log.append(client.number)
                elif client.number in gone:
                    turnstile.leave(client)
                    left.add(client.number)
                else:
                    assert not turnstile.enter(client), "a second try keeps the place"
            assert went_in <= 2 * each, "those of one turn, and those who came before the next one"
        assert log == [number for number in came if number not in left]
        assert len(turnstile) == 0

    asyncio.run(run())


async def test_one_who_fails_does_not_hold_up_the_others():
    turnstile = Turnstile(1)
    log: list[int] = []
    clients = [Client(number, log) for number in range(4)]
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["exception"]))
    clients[1].fails = True
    for client in clients:
        turnstile.enter(client)
    for _ in range(10):
        await asyncio.sleep(0)
    assert log == [1, 2, 3]
    assert len(failures) == 1


@pytest.mark.parametrize("turns", range(4))
async def test_requests_that_wait_in_the_line_are_answered_also_when_the_server_stops(start, make_client, turns):
    rig = await start()
    await rig.put("u1", ["p1", "p2"])
    clients = [await make_client(rig) for _ in range(7)]
    await until(lambda: len(rig.listening.connections) == 7)
    for client in clients:
        await client.send(b"GET /v1/feeds/u1?limit=1 HTTP/1.1\r\nHost: x\r\n\r\n")  # a miss: nothing is in memory yet
    for _ in range(turns):
        await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await rig.listening.stop()
        answers = [await client.rest() for client in clients]
    assert [answer[:15] for answer in answers] == [b"HTTP/1.1 200 OK"] * 7
