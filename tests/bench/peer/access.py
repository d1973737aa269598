"""Who calls the peer, and whether they still may: the key from the database, the counts in Redis."""

import hashlib
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from redis.asyncio import Redis
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tests.bench.peer.database import Session
from tests.bench.peer.models import Account, ApiKey

MINUTE_S = 60
MONTH_S = 32 * 24 * 3600

bearer = HTTPBearer()
Credentials = Annotated[HTTPAuthorizationCredentials, Depends(bearer)]


async def authenticate(credentials: Credentials, session: Session) -> Account:
    digest = hashlib.sha256(credentials.credentials.encode()).digest()
    account = await _account_of(session, digest)
    if account is None:
        raise HTTPException(401, "This API key is not valid")
    return account


async def _account_of(session: AsyncSession, digest: bytes) -> Account | None:
    return await session.scalar(
        select(Account)
        .join(ApiKey, ApiKey.account_id == Account.id)
        .where(ApiKey.hash == digest, ApiKey.revoked_at.is_(None))
    )


async def count_call(
    request: Request, response: Response, account: Annotated[Account, Depends(authenticate)]
) -> Account:
    now = datetime.now(UTC)
    minute, month = f"peer:{account.id}:{now:%Y%m%d%H%M}", f"peer:{account.id}:{now:%Y%m}"
    redis: Redis = request.app.state.redis
    async with redis.pipeline(transaction=False) as pipe:
        pipe.incr(minute)
        pipe.expire(minute, MINUTE_S)
        pipe.incr(month)
        pipe.expire(month, MONTH_S)
        burst, _, calls, _ = await pipe.execute()
    if burst > account.burst_per_min or calls > account.calls_per_month:
        raise HTTPException(429, "Too many calls")
    response.headers["RateLimit-Limit"] = str(account.burst_per_min)
    response.headers["RateLimit-Remaining"] = str(account.burst_per_min - burst)
    response.headers["RateLimit-Reset"] = str(MINUTE_S - now.second)
    return account


Caller = Annotated[Account, Depends(count_call)]


async def count_document(request: Request, account: Caller) -> None:
    redis: Redis = request.app.state.redis
    month = f"peer:{account.id}:{datetime.now(UTC):%Y%m}:documents"
    async with redis.pipeline(transaction=False) as pipe:
        pipe.incr(month)
        pipe.expire(month, MONTH_S)
        count, _ = await pipe.execute()
    if count > account.documents_per_month:
        raise HTTPException(429, "The month's documents are used up")
