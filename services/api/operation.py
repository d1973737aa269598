"""What a path does for one of its methods, as its routes declare it."""

from collections.abc import Awaitable, Callable

import msgspec

from services.api.call import Call, Handler
from services.api.many import Many


class Operation(msgspec.Struct, frozen=True):
    """A handler, the scope that it asks for (None: any valid key), and how many documents it creates.

    ``media_types`` are those of its body, where that is no JSON. ``updates`` tells of a call whether it creates none
    after all, since what it names is there. One that ``reads`` leaves no trace, so that it may begin before it is
    admitted. What is ``tagged`` is answered under an entity tag. A call of ``many`` may
    have a larger body and finds its items there by this.
    """

    handler: Handler
    scope: str | None
    documents: int = 0
    media_types: tuple[str, ...] = ()
    updates: Callable[[Call], Awaitable[bool]] | None = None
    reads: bool = False
    tagged: bool = False
    many: Callable[[bytes], Many] | None = None
