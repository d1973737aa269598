"""The suite's result as a table: for a terminal and for the operations page."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.rounds import Row

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
BEGIN, END = "<!-- make faults: begin -->", "<!-- make faults: end -->"
HEAD = ("fault", "rounds", "calls sent", "admitted", "ledger", "lost", "doubled", "recovery s")


def markdown(rows: Sequence[Row]) -> str:
    lines = [HEAD, ("---", *["---:"] * (len(HEAD) - 1)), *(_cells(row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    counts = (row.rounds, row.sent, row.admitted, row.ledger)
    lost = f"{row.lost:,} of {row.may_lose:,} undrained" if row.may_lose else f"{row.lost:,}"
    return (row.fault, *(f"{count:,}" for count in counts), lost, f"{row.doubled:,}", f"{row.recovery_s:.1f}")


def publish(rows: Sequence[Row], *, seed: str) -> None:
    """Write the table between the page's marks."""
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    drained_s = max(row.drained_s for row in rows)
    words = (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with seed {seed}: {sum(row.rounds for row in rows):,} rounds, "
        f"{sum(row.sent for row in rows):,} calls; "
        f"Redis and ledger agreed {drained_s:.1f} s after recovery at the latest."
    )
    PAGE.write_text(f"{before}{BEGIN}\n{words}\n\n{markdown(rows)}{END}{after}")
