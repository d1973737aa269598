"""Sheets as a press sets them, in the least HTML that a browser prints into them."""

from datetime import UTC, datetime

from services.renderer.layout.sheets import mark
from services.renderer.pdf.finish import Wanted

STYLE = """\
@page { size: A4; margin: 0 }
* { margin: 0; padding: 0; box-sizing: border-box }
html { font: 10pt/1.5 Inter }
.sheet { position: relative; width: 210mm; min-height: 297mm; padding: 20mm; break-after: page }
.sheet:last-child { break-after: auto }
.foot { position: absolute; bottom: 8mm }
@media screen { html { display: none } }"""
UPDATED_AT = datetime(2026, 3, 5, 23, 59, 58, 999, tzinfo=UTC)
TALL = "<p>" + "x<br>" * 70
TABLE = """\
<table><thead><tr><th scope=col>Item<th scope=col>Amount</tr></thead>
<tr><td>Design<td>1</tr><tr><td>Build<td>2</tr><tr><td colspan=2>Carried forward</tr></table>"""


def page(*sheets: str, title: str = "Print") -> str:
    return f"<!doctype html><meta charset=utf-8><title>{title}</title><style>{STYLE}</style><body>{''.join(sheets)}"


def sheet(document_id: str, number: int = 1, body: str = TABLE, language: str = "en") -> str:
    return (
        f'<article class=sheet lang="{language}-{mark(document_id, number)}"><h1>Invoice {document_id}</h1>'
        f"<p>Sheet {number} of {document_id}</p>{body}<div class=foot aria-hidden=true>Foot</div></article>"
    )


def wanted(document_id: str, sheets: int = 1, title: str = "Invoice", language: str = "en") -> Wanted:
    return Wanted(
        document_id=document_id,
        sheets=sheets,
        language=language,
        title=title,
        author="Northwind Studio",
        subject="Invoice for Acme Corp",
        updated_at=UPDATED_AT,
    )
