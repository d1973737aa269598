"""Which documents a list shows: the filters of its query, and nothing of its pages."""

from services.api.call import Call
from services.api.domain.kinds import KINDS
from services.api.domain.lifecycle import STATUSES
from services.api.routes.lists import choice
from services.api.store.listing import DocumentFilter

FILTER_PARAMETERS = ("type", "status")


def read_filter(call: Call, query: dict[str, str]) -> DocumentFilter:
    """The filter that a query asks for, whose names are known already; raises invalid_parameter."""
    return DocumentFilter(
        type=choice(query, "type", tuple(KINDS)), status=choice(query, "status", STATUSES), today=call.today
    )
