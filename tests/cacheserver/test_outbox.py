"""What is put in goes out, once, in order, at the end of the loop's turn at the latest; a fault keeps nobody back."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheserver.outbox import TOGETHER, Outbox


@given(turns=st.lists(st.integers(0, 2 * TOGETHER + 1), max_size=5), faults=st.sets(st.integers(0, 300)))
def test_every_answer_goes_out_once_and_in_order(turns: list[int], faults: set[int]) -> None:
    async def run() -> list[object]:
        outbox, said, raised = Outbox(), [], []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context["exception"]))

        def write(answer: bytes) -> None:
            said.append(int(answer))
            if int(answer) in faults:
                raise OSError("this client is gone")

        number = 0
        for many in turns:
            for _ in range(many):
                try:
                    outbox.put(write, b"%d" % number)
                except OSError as error:
                    raised.append(error)
                number += 1
                assert len(outbox) < TOGETHER + len(faults)
            for _ in range(len(faults) + 1):
                await asyncio.sleep(0)
        assert said == list(range(number))
        assert len(raised) == len(faults & set(said))
        return said

    asyncio.run(run())


async def test_nothing_is_sent_before_the_end_of_the_turn_unless_it_is_asked_for() -> None:
    outbox, said = Outbox(), []
    outbox.put(said.append, b"1")
    outbox.put(said.append, b"2")
    assert said == []
    outbox.send()
    assert said == [b"1", b"2"]
    outbox.put(said.append, b"3")
    await asyncio.sleep(0)
    assert (said, len(outbox)) == ([b"1", b"2", b"3"], 0)


GET = b"GET /v1/feeds/u1?limit=2 HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("ending", ["eof", "stop"])
async def test_an_answer_that_waits_goes_out_before_its_connection_ends(start, ending) -> None:
    """The client asks and stops sending at once, or the server stops in the very turn in which it has answered."""
    rig = await start()
    await rig.put("u1", ["p1", "p2", "p3"])
    await rig.feed("u1")
    listening = rig.listening
    reader, writer = await asyncio.open_connection("127.0.0.1", listening.port)
    for _ in range(2):  # the second one's header fields are known, so it is answered by the shorter way
        writer.write(GET)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
    writer.write(GET)
    if ending == "eof":
        writer.write_eof()
    else:
        for _ in range(1_000):
            await asyncio.sleep(0)
            if len(listening.connections.outbox):
                listening.connections.stop()
                break
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
    writer.close()
    await writer.wait_closed()
