"""When a browser has done its part, and what all of a worker's browsers have done."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Wear:
    """When a browser has done its part, and whether it lets others go first."""

    prints_max: int = 1000
    memory_bytes_max: int = 1024**3
    niceness: int = 0


@dataclass(slots=True)
class Tally:
    """What a worker's browsers have done; ``held`` is told the seconds of each use of a page."""

    busy_s: float = 0.0
    last_use_s: float = 0.0
    replaced: Counter[str] = field(default_factory=Counter[str])
    held: Callable[[float], None] = lambda _: None

    def count(self, held_s: float) -> None:
        self.busy_s += held_s
        self.last_use_s = time.monotonic()
        self.held(held_s)
