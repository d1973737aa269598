"""Whatever a customer writes into any field appears as literal text, and nothing is fetched for it."""

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from shared.messages import Party, RenderJob, RenderLine
from shared.templates import TEMPLATES

ATTACKS = (
    "<script>fetch('http://127.0.0.1:{port}/script')</script>",
    "<img src=http://127.0.0.1:{port}/image onerror=alert(1)>",
    "<link rel=stylesheet href=http://127.0.0.1:{port}/style>",
    "<iframe src=file:///etc/passwd></iframe>",
    '"><object data="file:///etc/passwd">',
    "</style><style>body{{background:url(http://127.0.0.1:{port}/css)}}",
    "</title></head><body onload=alert(1)><meta http-equiv=refresh content=0;url=http://127.0.0.1:{port}/>",
    "{{{{7*7}}}} {{% include '/etc/passwd' %}} ${{7*7}}",
    "url(http://127.0.0.1:{port}/url) expression(alert(1)) @import 'file:///etc/passwd'",
    "&lt;b&gt; &amp; &#x3c;i&#x3e; <!-- ]]> -->",
)
# How to pay is printed on what is owed only, and an IBAN cannot be just any text.
PAYMENT = {"iban", "bic", "payment_terms"}
FIELDS = tuple(field.name for field in msgspec.structs.fields(Party) if field.name not in PAYMENT)

pytestmark = pytest.mark.usefixtures("chromium")


@pytest.mark.parametrize("template", [template.id for template in TEMPLATES])
async def test_every_field_is_printed_as_it_was_written(
    template: str,
    example: Callable[[str], RenderJob],
    pdf_of: Callable[[RenderJob], Awaitable[bytes]],
    text_of: Callable[[bytes], str],
    listener: tuple[int, list[bytes]],
) -> None:
    port, heard = listener
    job = msgspec.structs.replace(example("purchase_order-clean"), template=template)
    for written in (attack.format(port=port) for attack in ATTACKS):
        for hostile in (*with_parties(job, written), with_texts(job, written)):
            text = "".join(text_of(await pdf_of(hostile)).split())
            marked = [value for value in texts(hostile) if written in value]
            assert marked
            assert [value for value in marked if "".join(value.split()) not in text] == []
    assert heard == []


async def test_how_to_pay_is_printed_as_it_was_written(
    example: Callable[[str], RenderJob],
    pdf_of: Callable[[RenderJob], Awaitable[bytes]],
    text_of: Callable[[bytes], str],
    listener: tuple[int, list[bytes]],
) -> None:
    port, heard = listener
    for attack in ATTACKS:
        written = attack.format(port=port)
        seller = Party(name="x", **{name: f"{name}:{written}" for name in PAYMENT})
        job = msgspec.structs.replace(example("invoice-clean"), status="sent", seller=seller)
        text = "".join(text_of(await pdf_of(job)).split())
        assert text.count("".join(written.split())) == len(PAYMENT)
    assert heard == []


async def test_no_text_turns_its_neighbours(
    example: Callable[[str], RenderJob],
    pdf_of: Callable[[RenderJob], Awaitable[bytes]],
    text_of: Callable[[bytes], str],
) -> None:
    """Overrides, embeddings and isolates that are never closed."""
    job = example("invoice-clean")
    line = msgspec.structs.replace(
        job.items[0], title="\u202etitle one", description="\u2067\u202ddescription two"
    )
    turned = msgspec.structs.replace(
        job,
        items=(line,),
        seller=Party(name="\u202eseller three", city="\u2066\u202bcity four"),
        notes="\u202enotes five",
    )
    text = text_of(await pdf_of(turned))
    for written in ("title one", "description two", "seller three", "city four", "notes five", "Subtotal"):
        assert written in text


def with_parties(job: RenderJob, written: str) -> list[RenderJob]:
    """Four fields of seller and client at a time, so that a page holds them and no page break comes between."""
    jobs: list[RenderJob] = []
    for some in (FIELDS[:4], FIELDS[4:8], FIELDS[8:]):
        seller, client = (
            Party(**{"name": "x", **{name: f"{side}-{name}:{written}" for name in some}}) for side in "sc"
        )
        jobs.append(msgspec.structs.replace(job, seller=seller, client=client))
    return jobs


def with_texts(job: RenderJob, written: str) -> RenderJob:
    line = msgspec.structs.replace(
        job.items[0], title=f"title:{written}", description=f"description:{written}"
    )
    return msgspec.structs.replace(job, number=f"number:{written}", items=(line,), notes=f"notes:{written}")


def texts(job: RenderJob) -> list[str]:
    parties = [getattr(party, name) for party in (job.seller, job.client) for name in FIELDS]
    return [*parties, job.number or "", job.notes, job.items[0].title, job.items[0].description]


async def test_metadata_holds_it_as_text_too(
    example: Callable[[str], RenderJob],
    pdf_of: Callable[[RenderJob], Awaitable[bytes]],
    poppler: Callable[..., bytes],
) -> None:
    job = example("invoice-clean")
    named = msgspec.structs.replace(job, seller=Party(name="<b>&\x01\ufffe</rdf:RDF>\u202e"))
    assert "Author:          <b>&</rdf:RDF>" in poppler("pdfinfo", pdf=await pdf_of(named)).decode()


async def test_text_of_any_length_and_script_prints(
    example: Callable[[str], RenderJob],
    pdf_of: Callable[[RenderJob], Awaitable[bytes]],
    text_of: Callable[[bytes], str],
    poppler: Callable[..., bytes],
) -> None:
    job = example("invoice-clean")
    line = RenderLine(
        title="W" * 500,
        description="Ελληνικά Кириллица Tiếng Việt हिन्दी ไทย 中文 日本語 한국어 🚀",
        quantity=job.items[0].quantity,
        rate=job.items[0].rate,
        amount=job.items[0].amount,
    )
    client = Party(name="شركة النور للتجارة", company="חברת אור בע״מ", address_line1="北京市朝阳区建国路88号")
    pdf = await pdf_of(msgspec.structs.replace(job, items=(line,), client=client, notes="long note\n" * 300))
    text = text_of(pdf)
    assert "W" * 500 in text.replace(" ", "")
    assert "Ελληνικά Кириллица Tiếng Việt" in text
    assert "中文 日本語 한국어 🚀" in text
    assert "北京市朝阳区建国路88号" in text
    assert text.count("long note") == 300
    fonts = poppler("pdffonts", pdf=pdf).decode()
    assert "Type 3" not in fonts
    embedded = [line.split()[-5] for line in fonts.splitlines()[2:]]
    assert embedded
    assert set(embedded) == {"yes"}
