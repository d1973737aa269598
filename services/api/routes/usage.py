"""The account's usage over HTTP, as metering tells it."""

from services.api.call import Call
from services.api.door import Door
from services.api.http import Answer, bad_parameter, json_answer
from services.api.operation import Operation


async def read_usage(call: Call) -> Answer:
    """The current period's usage or, by ``period``, another's; with its days if ``granularity`` asks for them."""
    query = call.query("period", "granularity")
    if query.get("granularity", "day") != "day":
        raise bad_parameter("granularity", "Must be day")
    metering = call.state["metering"]
    return json_answer(
        await metering.usage(call.account_id, period=query.get("period"), with_days="granularity" in query)
    )


DOORS = {"/v1/usage": Door(GET=Operation(read_usage, "usage:read"))}
