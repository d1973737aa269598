"""Places for what is under way: whose they are, and about how long until one of them is free."""

import math
import time
from collections import Counter, deque
from collections.abc import Generator
from contextlib import contextmanager

# By so many of those that ended last it is judged how long one lasts.
ENDED_MAX = 16


class Places:
    """Those of one gateway process, by account."""

    def __init__(self) -> None:
        self._begun: dict[object, tuple[str, float]] = {}  # in the order in which they were taken
        self._of_account: Counter[str] = Counter()
        self._lasted_s: deque[float] = deque(maxlen=ENDED_MAX)

    def __len__(self) -> int:
        return len(self._begun)

    def of(self, account_id: str) -> int:
        """How many the account has."""
        return self._of_account[account_id]

    @contextmanager
    def taken(self, account_id: str, *, is_typical: bool = True) -> Generator[None]:
        """One for as long as the context lasts; whether there is one, the caller has asked.

        By one that ``is_typical`` it is judged how long others last.
        """
        place = object()
        self._begun[place] = account_id, time.monotonic()
        self._of_account[account_id] += 1
        try:
            yield
        finally:
            _, begun_s = self._begun.pop(place)
            if is_typical:
                self._lasted_s.append(time.monotonic() - begun_s)
            self._of_account[account_id] -= 1
            if not self._of_account[account_id]:
                del self._of_account[account_id]

    def retry_after_s(self, account_id: str | None = None) -> int:
        """Until the oldest one, or the account's oldest, has lasted as long as any of late: rather late than too soon.

        One that has lasted longer already is taken to last as long again.
        """
        held = (begun for owner, begun in self._begun.values() if account_id in {None, owner})
        now = time.monotonic()
        age_s = now - next(held, now)
        left_s = max(self._lasted_s, default=0.0) - age_s
        return max(1, math.ceil(left_s if left_s > 0 else age_s))
