"""The account's usage over HTTP, as metering tells it."""

from services.api.call import Call
from services.api.door import Door, Operation
from services.api.http import Answer, json_answer


async def read_usage(call: Call) -> Answer:
    return json_answer(await call.state["metering"].usage(call.account_id))


DOORS = {"/v1/usage": Door(GET=Operation(read_usage, "usage:read"))}
