"""One client's connection: the fast lane first, then the ordinary path, one request at a time and in order.

Bytes are held here until the request before them is answered, so that neither path ever answers out of turn. What may
be held, and for how long, is bounded: half a request, a backlog of requests, answers that nobody reads.
"""

import asyncio
from typing import TYPE_CHECKING, Final, cast

from cacheserver.fastlane import BATCH
from cacheserver.framing import broken, fields_of, request_line
from cacheserver.ordinary import Ordinary
from cacheserver.problems import Refusal

if TYPE_CHECKING:
    from cacheserver.connections import Connections

_END: Final = b"\r\n\r\n"
_CRLF: Final = b"\r\n"
HEAD_BYTES: Final = 65_536
"""Of a request line and its header fields, all together."""
_BURSTS: Final = 4
"""Of the lane, 64 KB each: 40 µs and the time to send them, for one client, who may have sent thousands of requests."""
_FULL: Final = Refusal(503, "too many connections are open; try again in a moment", retry_after_s=1)
_BROKEN: Final = Refusal(400, "the request holds a bare CR or LF, or a control character, among its headers")
_WHOLE_BYTES: Final = 65_536
"""A batch of this size is awaited whole, so that the fast lane can answer it; larger bodies are streamed."""


class Connection(asyncio.Protocol):
    """Made by `Connections` for each client."""

    __slots__ = (
        "_all", "_answered", "_body_left", "_busy", "_ending", "_handler", "_held", "_lane", "_lingering", "_no_more",
        "_paused", "_put", "_reading", "_slow", "_transport", "_waits", "_write", "began_at", "ends", "used_at",
    )  # fmt: skip

    def __init__(self, connections: "Connections") -> None:
        self._all = connections
        self._lane = connections.lane
        self._put = connections.outbox.put
        self._handler: Ordinary | None = None
        self._held = b""
        self._slow = self._lane is None
        self._busy = False
        self._answered = False
        self._body_left = 0
        self._paused = False
        self._reading = True
        self._no_more = False
        self._waits = False
        self._ending = False
        self._lingering = False
        self.ends = False
        self.used_at = self.began_at = connections.now()

    @property
    def waits_for_its_reader(self) -> bool:
        """Whether the client reads its answers too slowly to be answered further."""
        return self._paused

    @property
    def held_bytes(self) -> int:
        """Bytes of requests that wait here."""
        return len(self._held)

    @property
    def unsent_bytes(self) -> int:
        """Bytes of answers that the client has not taken."""
        return self._transport.get_write_buffer_size()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports only look like one
        self._write = self._transport.write
        self._transport.set_write_buffer_limits(high=self._all.settings.write_buffer_bytes)
        if not self._all.admit(self):
            self._transport.write(self._all.refusal(_FULL))
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ending = self._slow = True
        self._held = b""
        self._all.forget(self)
        self._all.turnstile.leave(self)
        if self._handler is not None:
            self._handler.connection_lost(exc)

    def eof_received(self) -> bool:
        """A client that only stops sending still gets the answers to what it has sent."""
        self._all.outbox.send()
        self._no_more = True
        self.began_at = self._all.now()
        if self._body_left and (self._answered or not self.ends):
            return False  # of this body nothing more will come
        self._go_on()
        return self._busy or self._paused or self._waits

    def pause_writing(self) -> None:
        self._paused = self._slow = True
        self.began_at = self._all.now()
        if self._handler is not None:
            self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._paused = False
        if self._handler is not None:
            self._handler.resume_writing()
        self._go_on()

    def data_received(self, data: bytes) -> None:
        if self._slow:
            self._receive(data)
            return
        lane = self._lane
        assert lane is not None
        page = lane.page(data)
        if page is not None:
            self._put(self._write, page)
            self.used_at = lane.real
            return
        self._all.outbox.send()
        answers, at = lane.answer(data, 0)
        if answers:
            self._transport.write(answers)
        self.used_at = lane.real
        if at < len(data):
            self._held = data[at:]
            self.began_at = lane.real
            self._go_on()

    def answered(self, keep_alive: bool) -> None:
        """The ordinary path has written an answer."""
        self._answered = True
        if self._no_more and self._body_left:
            self._end()
        elif not keep_alive:
            self._ending = True
            self.began_at = self._all.now()
        elif not self._body_left:
            self._free()

    def stop(self) -> None:
        """No further request is taken; the one under way is finished."""
        self._all.outbox.send()
        self.ends = True
        if not (self._busy or self._waits):
            self._end()

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()

    def overdue(self, now: float) -> None:
        """Close the connection if it has been waited for long enough. Called about once a second."""
        settings = self._all.settings
        waited_s = now - max(self.began_at, self.used_at)
        if self._lingering:
            if waited_s > settings.header_s:
                self._transport.abort()
        elif self._paused or self._ending:
            if waited_s > settings.idle_s:
                self._transport.abort()
        elif self._busy or self._waits:  # an answer takes as long as it takes; bodies have a deadline of their own
            if self._no_more and self._body_left and waited_s > settings.header_s:
                self._end()
        elif self._held:
            if now - self.began_at > settings.header_s:
                self._refuse(Refusal(408, f"the request did not come whole within {settings.header_s:g} s"))
        elif waited_s > settings.idle_s:
            self._transport.close()

    def _receive(self, data: bytes) -> None:
        """Bytes while something is held or under way."""
        if self._body_left:
            part = data[: self._body_left]
            data = data[len(part) :]
            self._body_left -= len(part)
            assert self._handler is not None
            self._handler.data_received(part)
            if self._answered and not self._body_left and not self._ending:
                self._free()
        if data and not self._ending:
            if not self._held:
                self.began_at = self._all.now()
            self._held += data
            if not self._busy:
                self._go_on()
            elif len(self._held) > self._all.settings.backlog_bytes:
                self._stop_reading()

    def _free(self) -> None:
        """The ordinary path owes nothing any more."""
        self._busy = self._answered = False
        self.used_at = self.began_at = self._all.now()
        if self._held:
            self._soon()
        else:
            self._settle()

    def _soon(self) -> None:
        """Go on in the next turn of the loop."""
        self._waits = True
        asyncio.get_running_loop().call_soon(self._go_on)

    def let_in(self) -> None:
        """What is held may go into the ordinary path: the turnstile's answer to a connection that had to wait."""
        self._go_on(let_in=True)

    def _go_on(self, let_in: bool = False) -> None:
        """Answer what is held, as far as it goes; after some of it, whoever else waits has a turn."""
        self._waits = False
        data, at, bursts = self._held, 0, 0
        while at < len(data) and not (self._busy or self._paused or self._ending):
            if bursts == _BURSTS:
                self._soon()
                break
            if self._lane is not None:
                bursts += 1
                answers, answered_to = self._lane.answer(data, at)
                if answers:
                    self._transport.write(answers)
                    self.used_at = self.began_at = self._lane.real
                    at = answered_to
                    continue
            if not (let_in or self._all.turnstile.enter(self)):
                self._waits = True
                break
            let_in = False
            taken = self._hand_over(data, at)
            if not taken:
                break
            at += taken
        self._held = b"" if self._ending else data[at:]
        self._settle()

    def _settle(self) -> None:
        """After every change: may the next bytes go straight to the lane, and may any come at all?"""
        if (self._no_more or self.ends) and not (self._busy or self._paused or self._ending or self._waits):
            self._end()
        self._slow = bool(self._held or self._busy or self._paused or self._ending or self._lane is None)
        if len(self._held) > self._all.settings.backlog_bytes and (self._busy or self._paused or self._waits):
            self._stop_reading()
        elif not self._reading and not self._ending:
            self._reading = True
            self._transport.resume_reading()

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._transport.pause_reading()

    def _hand_over(self, data: bytes, at: int) -> int:
        """Give the request at `at` to the ordinary path: how many bytes of it; 0 if more must come first."""
        blank = 0
        while data.startswith(_CRLF, at + blank):  # RFC 9112 §2.2: empty lines before a request do not count
            blank += 2
        at += blank
        end = data.find(_END, at)
        try:
            if (len(data) if end < 0 else end) - at > HEAD_BYTES:
                raise Refusal(400, f"the request's line and header fields take more than {HEAD_BYTES} bytes")
            if end < 0:
                if broken(data[at:]):
                    raise _BROKEN
                return blank
            line_end = data.find(_CRLF, at)
            line = request_line(data[at:line_end])
            fields = fields_of(data[line_end + 2 : end + 2])
            if any(value.lower() != b"100-continue" for value in fields.values.get(b"expect", ())):
                raise Refusal(417, "the only expectation that can be met is 100-continue")
        except Refusal as error:
            self._refuse(_BROKEN if end >= 0 and broken(data[at:end]) else error)  # the same, however it was cut up
            return 0
        size = end + 4 - at + (fields.length or 0)
        whole = len(data) - at >= size
        if not fields.plain or line.method == b"CONNECT":
            self.ends = True  # nobody but aiohttp can say where this one ends, so nothing comes after it
            message = data[at:]
            self._body_left = 1 << 62
        elif not whole and self._lane is not None and self._worth_waiting_for(data, at, fields.length or 0, line_end):
            return blank
        else:
            message = data[at : at + size]
            self._body_left = size - len(message)
        self._busy = True
        if self._handler is None:
            self._handler = self._all.handler_for(self)
            self._handler.connection_made(self._transport)
        self._handler.data_received(message)
        return blank + len(message)

    def _worth_waiting_for(self, data: bytes, at: int, length: int, line_end: int) -> bool:
        return data[at:line_end] == BATCH and length <= _WHOLE_BYTES and b"\nexpect:" not in data[line_end:].lower()

    def _refuse(self, error: Refusal) -> None:
        """Say no, and nothing more; what still comes is read and thrown away, or the answer could be lost to a reset"""
        self._ending = self._lingering = self._slow = True
        self.began_at = self.used_at = self._all.now()
        self._held = b""
        self._transport.write(self._all.refusal(error))
        self._transport.write_eof()

    def _end(self) -> None:
        self._ending = self._slow = True
        self._transport.close()
