"""Each way of the benchmark makes the invoice, with all of its words on one page; how fast is no matter here."""

import subprocess
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import pytest

from tests.bench.browsers import opened_browser_ways
from tests.bench.bulk import opened_bulk_ways
from tests.bench.invoice import invoice
from tests.bench.products import opened_product, opened_product_ways
from tests.bench.typesetters import is_there, opened_typesetters
from tests.bench.ways import Way

BROWSERS = ("new_browser", "new_context", "warm_playwright", "warm_page", "own_page")
PRODUCTS = ("worker", "whole", "export", "bulk")
TYPESETTERS = ("weasyprint", "typst")


@pytest.fixture(scope="module")
async def ways() -> AsyncGenerator[dict[str, Way]]:
    async with AsyncExitStack() as stack:
        opened = (
            opened_browser_ways(),
            opened_product_ways(await stack.enter_async_context(opened_product())),
            opened_bulk_ways(),
            opened_typesetters(),
        )
        found = [await stack.enter_async_context(some) for some in opened]
        yield {name: way for some in found for name, way in some.items()}


@pytest.mark.parametrize("name", [*BROWSERS, *PRODUCTS, *filter(is_there, TYPESETTERS)])
async def test_a_way_makes_each_document_on_one_page(ways: dict[str, Way], name: str) -> None:
    jobs = [invoice(number) for number in (7, 8, 9)]
    work = await ways[name].prepare(jobs)
    texts = [_text(pdf) for pdf in await work()]
    assert [text.count("\f") for text in texts] == [1, 1, 1]
    for job in jobs:
        text = next(text for text in texts if f"{job.total:,}" in text)
        for words in ("Northwind Studio", "Park Avenue", "Returning client discount", "bank transfer"):
            assert words in text


def _text(pdf: bytes) -> str:
    command = ["pdftotext", "-layout", "-", "-"]
    done = subprocess.run(command, input=pdf, capture_output=True, check=True)
    return done.stdout.decode()
