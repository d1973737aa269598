"""The result of the faults on PDFs as a table: for a terminal and for the operations page."""

from collections.abc import Sequence
from datetime import UTC, datetime

from tests.faults.pdfs import Row
from tests.faults.table import PAGE

BEGIN, END = "<!-- make faults ARGS=pdfs: begin -->", "<!-- make faults ARGS=pdfs: end -->"
HEAD = ("fault", "rounds", "asked", "answered with the PDF", "with an error", "lost", "recovery s")


def markdown(rows: Sequence[Row]) -> str:
    lines = [HEAD, ("---", *["---:"] * (len(HEAD) - 1)), *(_cells(row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    counts = (row.rounds, row.asked, row.printed, row.refused, row.lost)
    return (row.fault, *(f"{count:,}" for count in counts), f"{row.recovery_s:.1f}")


def publish(rows: Sequence[Row], *, seed: str) -> None:
    before, rest = PAGE.read_text().split(BEGIN)
    _, after = rest.split(END)
    words = f"Measured on {datetime.now(UTC):%Y-%m-%d} with seed {seed}."
    PAGE.write_text(f"{before}{BEGIN}\n{words}\n\n{markdown(rows)}{END}{after}")
