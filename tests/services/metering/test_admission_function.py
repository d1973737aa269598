"""The function in Redis, on Redis's own clock; tests/services/metering/test_burst.py sets the clock."""

from services.metering.seeding import seed_account
from services.metering.stores import Stores
from tests.services.metering.conftest import ACCOUNT, Admit


async def test_an_unknown_account_asks_to_be_seeded(admit: Admit) -> None:
    (reply,) = await admit((0, 1, 1, 0))
    assert (reply.status, reply.granted) == (1, 0)


async def test_a_seeded_account_is_free_and_counts(admit: Admit, meter: Stores) -> None:
    await seed_account(meter, ACCOUNT)
    (reply,) = await admit((0, 3, 1, 1))
    assert (reply.status, reply.granted, reply.reason) == (0, 3, 0)
    assert (reply.calls_limit, reply.calls_used, reply.documents_limit, reply.documents_used) == (500, 3, 20, 3)
    assert (reply.burst_limit, reply.burst_remaining) == (60, 57)
