"""What changes with the minute is in headers, so that a page's body and its entity tag stay as they are."""

from urllib.parse import quote

from cacheserver.origin import Found
from cacheserver.reading import Reading


def cache_status(found: Found, fresh_s: float) -> str:
    """Cache-Status (RFC 9211); `ttl` is what is left of the feed's freshness, in seconds, negative when it is stale."""
    ttl = f"ttl={int(fresh_s - found.age_s // 1)}"
    if found.cache == "hit":
        return f"forefeed; hit; {ttl}"
    collapsed = "; collapsed" if found.joined else ""
    if found.cache == "stale":
        return f"forefeed; {'fwd=stale' if found.failed else 'hit'}; {ttl}{collapsed}; detail=stale"
    if found.cache == "fallback":
        return f"forefeed; fwd=miss{collapsed}; detail=fallback"
    return f"forefeed; fwd=miss{'; stored' if found.stored else ''}{collapsed}"


def next_link(viewer: str, after: str, generation: str, limit: int | None) -> str:
    """Link to the next page (RFC 8288), every id percent-encoded. `limit`: None if the request named none."""
    segment = quote(viewer, safe="") if viewer not in (".", "..") else viewer.replace(".", "%2E")
    size = "" if limit is None else f"&limit={limit}"
    return f'</v1/feeds/{segment}?after={quote(after, safe="")}{size}&generation={generation}>; rel="next"'


def page_headers(reading: Reading, now: float, fresh_s: float, limit: int | None) -> dict[str, str]:
    """Headers of a page, its representation's own ones (Content-Type, ETag) not among them."""
    page = reading.page
    headers = {
        "Cache-Control": "private, no-cache",
        "Vary": "Accept",
        "Cache-Status": cache_status(reading.found, fresh_s),
        "Feed-New-Items": str(reading.new_items),
    }
    if page.generated_at:  # the empty page of a server without any feed was never made
        headers["Age"] = str(min(max(0, int(now - page.generated_at)), 1 << 31))
    if page.next is not None:
        headers["Link"] = next_link(page.user_id, page.next, page.generation, limit)
    return headers
