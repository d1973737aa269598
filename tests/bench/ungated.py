"""The gateway as it would be without admission: the same process, but every call is granted and none is counted."""

from typing import Any
from unittest.mock import patch

from services.api import __main__, app
from services.api.admission import Admission, Decision

GRANTED = Decision(
    granted=True,
    reason="",
    burst_limit=-1,
    burst_remaining=-1,
    burst_reset_ms=0,
    retry_after_ms=0,
    calls_limit=1_000_000_000,
    calls_used=0,
    documents_limit=-1,
    documents_used=0,
    period_start_s=1_772_323_200,
    period_end_s=1_775_001_600,
)


class Ungated(Admission):
    """Asks nobody."""

    async def admit(self, *_asked: Any, **_costs: Any) -> Decision:
        return GRANTED


if __name__ == "__main__":
    with patch.object(app, "Admission", Ungated):
        __main__.main()
