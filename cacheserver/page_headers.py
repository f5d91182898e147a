"""What changes with the minute is in headers, so that a page's body and its entity tag stay as they are."""

from cacheserver.encoded import lasting_headers
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


def page_headers(reading: Reading, now: float, fresh_s: float, limit: int | None) -> dict[str, str]:
    """Headers of a page, its representation's own ones (Content-Type, ETag) not among them."""
    page = reading.page
    headers = {"Cache-Status": cache_status(reading.found, fresh_s)}
    if page.generated_at:  # the empty page of a server without any feed was never made
        headers["Age"] = str(min(max(0, int(now - page.generated_at)), 1 << 31))
    return headers | lasting_headers(page, reading.new_items, limit)
