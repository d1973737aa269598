"""The template catalogue over HTTP."""

from services.api.call import Call
from services.api.door import Door, Operation
from services.api.http import Answer, json_answer
from shared.templates import TEMPLATES


async def list_templates(_call: Call) -> Answer:
    return json_answer({"data": TEMPLATES})


DOORS = {"/v1/templates": Door(GET=Operation(list_templates, None))}
