"""Errors become RFC 9457 problem documents here and nowhere else."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from aiohttp import ClientError, web
from aiohttp.http_exceptions import HttpProcessingError
from msgspec import UNSET

from cacheserver.wire import PROBLEM, SERVER, Problem, Refused, json_encoder
from feedgen.errors import BadEvent, DiskFull, ForefeedError, LogError, StoreError

_log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refusal(ForefeedError):
    """A request that gets `status`; the message says what to do about it. `retry_after_s`: when to try again."""

    def __init__(
        self, status: int, detail: str, refused: list[Refused] | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.refused = refused
        self.retry_after_s = retry_after_s


def problem(status: int, detail: str, refused: list[Refused] | None = None) -> Problem:
    """The document of an error; its title is the status' name."""
    return Problem(HTTPStatus(status).phrase, status, _plain(detail), refused=UNSET if refused is None else refused)


def respond(body: Problem, headers: Mapping[str, str] | None = None) -> web.Response:
    """The response that carries `body`."""
    merged = {**(headers or {}), "Content-Type": PROBLEM, "Cache-Control": "no-store"}
    response = web.Response(status=body.status, body=json_encoder.encode(body), headers=merged)
    if body.status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE):
        response.force_close()  # else the connection would wait for the rest of a body that nobody reads
    return response


def _refused(request: web.Request, error: Refusal) -> web.Response:
    body = problem(error.status, str(error), error.refused)
    if error.status == HTTPStatus.UNAUTHORIZED:
        response = respond(body, {"WWW-Authenticate": "Forefeed"})
        if request.can_read_body:
            response.force_close()
        return response
    if error.retry_after_s is None:
        return respond(body)
    response = respond(body, {"Retry-After": str(error.retry_after_s)})
    if request.can_read_body:
        response.force_close()  # its body is not read, and would stand before the next request
    return response


def on_the_wire(error: Refusal) -> bytes:
    """The whole answer that carries `error` and ends the connection, for what comes before any framework."""
    document = problem(error.status, str(error))
    body = json_encoder.encode(document)
    again = "" if error.retry_after_s is None else f"Retry-After: {error.retry_after_s}\r\n"
    head = (
        f"HTTP/1.1 {error.status} {document.title}\r\nContent-Type: {PROBLEM}\r\nCache-Control: no-store\r\n{again}"
        f"Content-Length: {len(body)}\r\nDate: {formatdate(usegmt=True)}\r\nServer: {SERVER}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body


_FULL: Final = "the server's disk is full, and nothing of this is kept; free some space there, then send it again"


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into a problem document; nothing internal gets out."""
    try:
        return await handler(request)
    except Refusal as error:
        return _refused(request, error)
    except web.HTTPException as error:
        return _of_http(request, error)
    except BadEvent as error:
        return respond(problem(400, str(error)))
    except DiskFull as error:
        _log.error("%s %s: %s", request.method, request.rel_url.raw_path, error)
        return respond(problem(507, _FULL))
    except (LogError, StoreError) as error:
        _log.error("%s %s: %s", request.method, request.rel_url.raw_path, error)
        return respond(problem(503, "storage cannot be reached; send the request again"), {"Retry-After": "1"})
    except (web.RequestPayloadError, HttpProcessingError, ClientError, ConnectionError) as error:
        _log.debug("a body could not be read: %s", error)
        response = respond(problem(400, "the body is cut short or not encoded as its headers say"))
        response.force_close()  # aiohttp drops the connection; the sender must not put its next request on it
        return response
    except Exception:
        _log.exception("%s %s failed", request.method, request.rel_url.raw_path)
        return respond(problem(500, "an error on our side; it has been logged"))


_DETAILS: Final = {
    404: "there is nothing at this path; /openapi.json lists what there is",
    405: "this path does not know the method; the Allow header lists those it knows",
    413: "the body is larger than the server takes; send it in parts",
    417: "the only expectation that can be met is 100-continue",
}


def _of_http(request: web.Request, error: web.HTTPException) -> web.Response:
    """aiohttp's own errors: the router's 404 and 405, the reader's 413."""
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
    return respond(problem(error.status, _DETAILS.get(error.status, error.reason)), headers)


def _plain(text: str) -> str:
    """`text` without half surrogate pairs, which no UTF-8 body can carry."""
    return text.encode(errors="backslashreplace").decode()


class Quiet(logging.Filter):
    """Keeps malformed HTTP out of the log: it is the sender's error, and anyone can send it without end."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether `record` is worth a line."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, (HttpProcessingError, web.RequestPayloadError))
