"""What a team would write in a day, to be compared with: FastAPI and uvicorn over sorted sets in Redis.

Run by the benchmark as `uvicorn loadtest.team_app:app`; FOREFEED_REDIS is the port of the Redis server.
"""

import json
import os
from typing import Any

import redis.asyncio as redis
from fastapi import FastAPI, Query

app = FastAPI()
store = redis.Redis(port=int(os.environ.get("FOREFEED_REDIS", "6379")), decode_responses=True)


@app.get("/v1/feeds/{user_id}")
async def page(user_id: str, before: float | None = None, limit: int = Query(20, ge=1, le=100)) -> dict[str, Any]:
    """A page: items with a score below `before`, best first."""
    top: float | str = "+inf" if before is None else f"({before}"
    found: Any = await store.zrevrangebyscore(user_id, top, "-inf", start=0, num=limit, withscores=True)
    return {
        "user_id": user_id,
        "items": [json.loads(member) for member, _ in found],
        "next": found[-1][1] if len(found) == limit else None,
    }
