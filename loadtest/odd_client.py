"""Holds conversations of odd requests, many at once, with plain sockets: asyncio takes longer than the server."""

import random
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Final

from loadtest.odd_requests import Conversation, Findings, conversation

_PATIENCE_S: Final = 60.0
_CHUNK: Final = 1 << 18
_ABORT: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of nothing: the port is free again at once, where 28,000 would be used up within seconds."""
_WRONG_MAX: Final = 10


class _Talk:
    """One connection: what is still to be sent, what has come."""

    __slots__ = ("answer", "deadline", "out", "said", "socket")

    def __init__(self, port: int, said: Conversation, rng: random.Random) -> None:
        data = said.data
        cut = rng.randrange(1, len(data))
        self.said = said
        self.out = [data[:cut], data[cut:]]
        self.answer = b""
        self.deadline = time.monotonic() + _PATIENCE_S
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        self.socket.setblocking(False)

    def send(self) -> bool:
        """Send the next part; whether that was the last one. Raises OSError when the other side has cut it off."""
        part = self.out.pop(0)
        rest = part[self.socket.send(part) :]
        if rest:
            self.out.insert(0, rest)
        elif not self.out:
            self.socket.shutdown(socket.SHUT_WR)
        return not self.out

    def receive(self) -> bool:
        """Take what has come; whether more may come. Raises OSError when the other side has cut it off."""
        data = self.socket.recv(_CHUNK)
        self.answer += data
        return bool(data)


def send_odd_requests(
    port: int, viewers: list[str], count: int, seed: int, seconds_max: float, tell: Callable[[str], None]
) -> Findings:
    """Have `count` odd requests answered, in 32 conversations at a time, until time is up or ten answers were wrong.

    Raises OSError if nobody listens.
    """
    findings = Findings()
    rng = random.Random(seed)
    poll = select.epoll()
    talks: dict[int, _Talk] = {}
    end = time.monotonic() + seconds_max
    told = 0
    while True:
        going_on = findings.sent < count and time.monotonic() < end and len(findings.wrong) < _WRONG_MAX
        while going_on and len(talks) < 32:
            talk = _Talk(port, conversation(viewers, rng), rng)
            talks[talk.socket.fileno()] = talk
            poll.register(talk.socket, select.EPOLLIN | select.EPOLLOUT)
        if not talks:
            return findings
        for number, event in poll.poll(1.0):
            if not _go_on(talks[number], event, poll):
                _finish(talks.pop(number), findings)
        for number in [number for number, talk in talks.items() if time.monotonic() > talk.deadline]:
            talks[number].answer += b"\r\nHTTP/1.1 599 no end of it in 60 s"
            _finish(talks.pop(number), findings)
        if findings.sent // 100_000 > told:
            told = findings.sent // 100_000
            tell(f"{findings.sent:,} odd requests, {len(findings.wrong)} wrong answers")


def _go_on(talk: _Talk, event: int, poll: select.epoll) -> bool:
    """Send and receive what is possible; whether the conversation goes on."""
    try:
        if event & select.EPOLLOUT and talk.out and talk.send():
            poll.modify(talk.socket, select.EPOLLIN)
        if event & ~select.EPOLLOUT:
            return talk.receive()
    except BlockingIOError:
        return True
    except OSError:
        return False  # cut off, as who sends such things may be
    return True


def _finish(talk: _Talk, findings: Findings) -> None:
    talk.socket.close()
    findings.judge(talk.said, talk.answer)
