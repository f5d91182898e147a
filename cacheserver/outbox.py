"""Answers of the fast lane, sent together: those that one turn of the event loop gave, at its end.

A client that waits for nothing else is asleep when its answer comes, and to wake it takes the kernel longer than to
send. Answered one by one, every third page of a busy server woke its client anew; sent in a row, every twentieth does,
and a page takes two thirds of the processor time: 8 µs instead of 13, and the client's 7.5 instead of 13.7 (measured).
"""

import asyncio
from collections.abc import Callable
from typing import Final

TOGETHER: Final = 64
"""Answers at most that wait for one another: some 0.3 ms of the lane's work."""


class Outbox:
    """One event loop owns it. Answers go out in the order in which they were put in."""

    __slots__ = ("_unsent",)

    def __init__(self) -> None:
        self._unsent: list[tuple[Callable[[bytes], object], bytes]] = []

    def __len__(self) -> int:
        return len(self._unsent)

    def put(self, write: Callable[[bytes], object], answer: bytes) -> None:
        """Call `write` with `answer` before the loop looks for further requests. O(1)."""
        unsent = self._unsent
        if not unsent:
            asyncio.get_running_loop().call_soon(self.send)
        unsent.append((write, answer))
        if len(unsent) >= TOGETHER:
            self.send()

    def send(self) -> None:
        """Send all that waits, now. Whoever writes to a client, or closes a connection, in another way calls it first.

        A `write` that raises keeps nobody else's answer back.
        """
        unsent, self._unsent = self._unsent, []
        sent = 0
        try:
            for write, answer in unsent:
                sent += 1
                write(answer)
        finally:
            if sent < len(unsent):
                self._unsent = unsent[sent:] + self._unsent
                asyncio.get_running_loop().call_soon(self.send)
