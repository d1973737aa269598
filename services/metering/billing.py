"""An account's billing terms: on which day and in which time zone its periods begin."""

from collections.abc import Sequence

from services.metering.limits import Billing
from shared.postgres import Connection


async def select_billing(connection: Connection, account_id: str) -> list[Billing]:
    """Oldest first."""
    return (await select_billing_of(connection, [account_id]))[account_id]


async def select_billing_of(connection: Connection, account_ids: Sequence[str]) -> dict[str, list[Billing]]:
    """The terms of each account, oldest first."""
    rows = await connection.fetch(
        """
        select account_id, since, anchor_day, time_zone from metering.billing
        where account_id = any($1::text [])
        order by since
        """,
        account_ids,
    )
    terms: dict[str, list[Billing]] = {account_id: [] for account_id in account_ids}
    for row in rows:
        terms[row[0]].append(Billing(row[1], row[2], row[3]))
    return terms
