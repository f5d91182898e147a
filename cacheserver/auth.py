"""Requests signed by app servers: HMAC-SHA-256 over method, target, key id, time, nonce and the body's digest.

docs/signing.md says it to those who sign, with test vectors. A signature holds for a minute around the server's clock;
one with a nonce is good for one request.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from aiohttp import web

from cacheserver.problems import Handler, Refusal

WINDOW_S: Final = 60
"""Seconds a request's time may be off, either way."""
OPEN: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Probes and scrapers do not sign."""
_WRITES: Final = frozenset({"/v1/events", "/v1/views"})
_EMPTY: Final = hashlib.sha256().hexdigest().encode()
_FORM: Final = re.compile(
    rb"Forefeed key=([0-9A-Za-z._-]{1,64}), time=([0-9]{1,12})(?:, nonce=([0-9A-Za-z._-]{1,64}))?"
    rb"(?:, body=([0-9a-f]{64}))?, signature=([0-9a-f]{64})"
).fullmatch


class Signed(NamedTuple):
    """What a good signature stands for: `nonce` empty if it carries none; `body` the hex SHA-256 that the body has."""

    key: bytes
    nonce: bytes
    body: bytes

    @property
    def no_body(self) -> bool:
        """Whether it was signed without a body."""
        return self.body == _EMPTY


def sign(key_id: str, secret: str, method: str, target: str, time_s: int, body: bytes = b"", nonce: str = "") -> str:
    """The Authorization header of a request. A retry is a new request: it is signed anew, with a new nonce."""
    digest = hashlib.sha256(body).hexdigest()
    text = "\n".join((method, target, key_id, str(time_s), nonce, digest))
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    parts = [f"key={key_id}", f"time={time_s}"]
    if nonce:
        parts.append(f"nonce={nonce}")
    if body:
        parts.append(f"body={digest}")
    return f"Forefeed {', '.join(parts)}, signature={signature}"


class Verifier:
    """Checks signatures against the keys, and remembers nonces. One event loop owns it."""

    def __init__(self, keys: Mapping[str, str], nonces_max: int, wall: Callable[[], float]) -> None:
        """`keys`: secret by key id; all of them hold, so that a new one can be in use before the old one goes."""
        self._states = {key_id.encode(): _states(secret.encode()) for key_id, secret in keys.items()}
        self._nonces_max = nonces_max
        self._wall = wall
        self._nonces: dict[tuple[bytes, bytes], float] = {}

    def check(self, method: bytes, target: bytes, authorization: bytes) -> Signed:
        """What the request's signature stands for. 2.3 µs. Raises Refusal (401)."""
        match = _FORM(authorization)
        if match is None:
            raise Refusal(401, "the Authorization header is not `Forefeed key=…, time=…, signature=…`; docs/signing.md")
        key_id, time_s, nonce, body, signature = match.groups()
        states = self._states.get(key_id)
        nonce, body = nonce or b"", body or _EMPTY
        inner, outer = (states or _NO_STATES)[0].copy(), (states or _NO_STATES)[1].copy()
        inner.update(b"\n".join((method, target, key_id, time_s, nonce, body)))
        outer.update(inner.digest())
        if not hmac.compare_digest(outer.hexdigest().encode(), signature) or states is None:
            raise Refusal(401, "the signature does not fit the request, or its key is not known here")
        if abs(self._wall() - int(time_s)) > WINDOW_S:
            raise Refusal(401, f"the request was signed more than {WINDOW_S} s from now; sign it anew, check the clock")
        return Signed(key_id, nonce, body)

    def use_up(self, signed: Signed) -> None:
        """Take the nonce, once. O(1) amortised. Raises Refusal: 401 without one or a second time; 503 with no room."""
        if not signed.nonce:
            raise Refusal(401, "a write carries a nonce in its signature")
        now = self._wall()
        while self._nonces and next(iter(self._nonces.values())) < now:
            del self._nonces[next(iter(self._nonces))]
        used = (signed.key, signed.nonce)
        if used in self._nonces:
            raise Refusal(401, "the nonce has been used; a retry is signed anew, with a new one")
        if len(self._nonces) >= self._nonces_max:
            raise Refusal(503, "more signed writes than can be remembered; send this one again", retry_after_s=1)
        self._nonces[used] = now + 2 * WINDOW_S

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let signed requests pass; what a body must be is checked once it is read (`must_be_signed`)."""
        if request.path in OPEN:
            return await handler(request)
        given = request.headers.getall("Authorization", ())
        if len(given) != 1:
            raise Refusal(401, "this server answers signed requests only; docs/signing.md says how to sign")
        authorization = given[0].encode(errors="surrogateescape")
        target = request.raw_path.encode(errors="surrogateescape")
        signed = self.check(request.method.encode(), target, authorization)
        if request.method == "DELETE" or request.path in _WRITES:
            self.use_up(signed)
        request[SIGNED_BODY] = signed.body
        return await handler(request)


SIGNED_BODY: Final = web.RequestKey("signed_body", bytes)


def must_be_signed(request: web.Request, body: bytes) -> None:
    """Refuse (401) a body that is not the one that was signed."""
    signed = request.get(SIGNED_BODY)
    if signed is not None and not hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), signed):
        raise Refusal(401, "the body is not the one that was signed")


def _states(secret: bytes) -> "tuple[hashlib._Hash, hashlib._Hash]":
    """SHA-256 after the inner and the outer pad of HMAC (RFC 2104): with them at hand a check takes half the time."""
    block = (hashlib.sha256(secret).digest() if len(secret) > 64 else secret).ljust(64, b"\0")
    return hashlib.sha256(bytes(byte ^ 0x36 for byte in block)), hashlib.sha256(bytes(byte ^ 0x5C for byte in block))


_NO_STATES: Final = _states(b"for keys nobody knows, so that they take the same time")
