"""Where a request ends, by a grammar stricter than any parser behind it (RFC 9112), so that nobody can disagree.

What could be read in two ways is refused: white space where none belongs, folded headers, bare line feeds, two lengths,
a length beside a coding.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from cacheserver.problems import Refusal

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_LINE: Final = re.compile(rb"(" + _TOKEN + rb") ([!-~\x80-\xff]+) HTTP/1\.([01])")
_VALUE: Final = rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?"
_FIELD: Final = re.compile(rb"(" + _TOKEN + rb"):[ \t]*(" + _VALUE + rb")[ \t]*\r\n")
_BROKEN: Final = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
SHORT: Final = 1_024
"""Bytes of header fields that are worth remembering: clients send few different ones, and 4,096 of these are 4 MB."""
FIELDS_MAX: Final = 100


class Fields(NamedTuple):
    """Header fields, read: values by lower-case name in order; `length` of the body, None if it is not announced.

    `plain`: where the message ends depends on nothing but `length` (no coding, no upgrade).
    """

    values: Mapping[bytes, tuple[bytes, ...]]
    length: int | None
    plain: bool

    def last(self, name: bytes) -> bytes | None:
        """The field's value if it is there once; None otherwise."""
        values = self.values.get(name, ())
        return values[0] if len(values) == 1 else None


class RequestLine(NamedTuple):
    """Method, target as sent, minor version of HTTP/1."""

    method: bytes
    target: bytes
    minor: bytes


def request_line(line: bytes) -> RequestLine:
    """The request line, without its end. Raises Refusal (400)."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise Refusal(400, "the request line is not `METHOD target HTTP/1.1`")
    return RequestLine(*match.groups())


def fields_of(block: bytes) -> Fields:
    """Header fields as they stand behind the request line, each with its CRLF. Raises Refusal (400)."""
    return _remembered(block) if len(block) <= SHORT else _read(block)


def _read(block: bytes) -> Fields:
    values: dict[bytes, tuple[bytes, ...]] = {}
    at = count = 0
    while at < len(block):
        match = _FIELD.match(block, at)
        if match is None or count == FIELDS_MAX:
            raise Refusal(400, _reason(block, at, count))
        name = match[1].lower()
        values[name] = (*values.get(name, ()), match[2])
        at = match.end()
        count += 1
    length = _length(values)
    coded = values.get(b"transfer-encoding")
    if coded is not None:
        if length is not None:
            raise Refusal(400, "Content-Length and Transfer-Encoding contradict one another; send one of them")
        if [coding.strip().lower() for coding in coded] != [b"chunked"]:
            raise Refusal(400, "the only Transfer-Encoding that is understood is `chunked`, once")
    return Fields(values, length, coded is None and b"upgrade" not in values)


_remembered = lru_cache(maxsize=4_096)(_read)


def _length(values: Mapping[bytes, tuple[bytes, ...]]) -> int | None:
    lengths = values.get(b"content-length")
    if lengths is None:
        return None
    if len(lengths) > 1:
        raise Refusal(400, "Content-Length is given more than once")
    if not _LENGTH.fullmatch(lengths[0]):
        raise Refusal(400, "Content-Length is no whole number of bytes")
    return int(lengths[0])


def _reason(block: bytes, at: int, count: int) -> str:
    if count == FIELDS_MAX:
        return f"more than {FIELDS_MAX} header fields"
    if block[at : at + 1] in (b" ", b"\t"):
        return "a header line begins with white space; folding is obsolete, send each field on one line"
    return "a header line is not `name: value`"


def broken(part: bytes) -> bool:
    """Whether what has come of a head so far can be no part of one: bare CR or LF, or control characters."""
    return _BROKEN.search(part) is not None
