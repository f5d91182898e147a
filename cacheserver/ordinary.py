"""The ordinary path: aiohttp's request handler, behind a Connection that gives it one request at a time."""

import logging
from typing import Any, Protocol

from aiohttp import hdrs, web

from cacheserver.problems import problem, respond
from cacheserver.wire import SERVER


class Owner(Protocol):
    """The connection the handler answers on."""

    @property
    def ends(self) -> bool:
        """Whether the answer under way is the last one on this connection."""
        ...

    def answered(self, keep_alive: bool) -> None:
        """An answer is written, as a whole."""
        ...


class Ordinary(web.RequestHandler):
    """Says when it has answered, and says no in problem documents."""

    __slots__ = ("_owner",)

    def __init__(self, owner: Owner, manager: web.Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self._owner = owner

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write the answer; the connection is told when it is written."""
        resp.headers[hdrs.SERVER] = SERVER  # else aiohttp names its version and Python's
        if self._owner.ends:
            resp.force_close()
        written, lost = await super().finish_response(request, resp, start_time)
        self._owner.answered(bool(written.keep_alive) and not lost)
        return written, lost

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What aiohttp's parser refuses is a problem document as well; nothing is logged, as anyone can send it."""
        if status >= 500:
            return super().handle_error(request, status, exc, message)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun; no other one can be sent")
        said = (message or "").strip().splitlines()
        response = respond(problem(status, f"the request is not HTTP as RFC 9112 has it: {said[0] if said else ''}"))
        response.force_close()
        logging.getLogger(__name__).debug("refused: %s", message)
        return response
