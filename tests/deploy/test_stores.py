import asyncpg
from redis.asyncio import Redis


async def test_a_test_has_a_database_and_a_redis_of_its_own(
    database_url: str, redis_url: str, object_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    assert (await connection.fetchval("show server_version")).startswith("18")
    await connection.close()
    async with Redis.from_url(redis_url) as redis:
        assert (await redis.info("server"))["valkey_version"].startswith("9")
        assert await redis.dbsize() == 0
    assert object_url.startswith("file:///")
