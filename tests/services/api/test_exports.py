"""Exports over HTTP: asked for at once, looked after, and downloaded as one file that holds each document once."""

import io
from collections.abc import Callable
from random import Random
from typing import Any

import pikepdf
import pytest
from account import Account, refused
from bodies import line
from exported import (
    asked,
    blocked,
    downloaded,
    ended,
    ids_of,
    manifest_of,
    name_of,
    reached,
    released,
    state_of,
    text_of,
    unzipped,
)
from images import encoded, picture
from likeness import SHADES, assert_alike, difference, drawn, told
from PIL import Image

from services.api.domain.export import DOCUMENTS_MAX, PART_LOGO_BYTES_MAX
from services.api.exports import ATTEMPTS_MAX, NOT_JOINED, TRIED_TOO_OFTEN
from services.api.routes.exports import UNFINISHED_MAX
from services.api.store.ids import new_id

FIELDS = [
    "id", "state", "format", "order", "total", "done", "failed", "progress", "message",
    "created_at", "updated_at", "expires_at", "download_url", "errors",
]  # fmt: skip
Open = Callable[..., Account]


@pytest.fixture(scope="module")
def some(house: Account) -> list[dict[str, Any]]:
    """Documents of every template, one of them a draft."""
    templates = ("clean", "modern", "classic", "minimal")
    return [
        house.document(
            template=template,
            status="draft" if number == 3 else "sent",
            items=[line(title=f"Thing {number}-{template}")],
            issued_date="2026-01-15",
        )
        for number, template in enumerate(templates * 2)
    ]


def test_a_zip_holds_each_document_once_by_its_name_and_in_order(
    house: Account, some: list[dict[str, Any]]
) -> None:
    given = some[::-1]
    accepted = asked(house, documents=ids_of(given))
    assert list(accepted) == FIELDS
    assert (accepted["state"], accepted["total"], accepted["progress"]) == ("queued", 8, 0)
    export = ended(house, accepted["id"])
    assert (export["state"], export["done"], export["failed"], export["errors"]) == ("ready", 8, 0, [])
    assert (export["progress"], export["format"], export["order"]) == (1, "zip", "given")
    answer = downloaded(house, export)
    assert answer.headers["content-type"] == "application/zip"
    assert int(answer.headers["content-length"]) == len(answer.content)
    day = export["created_at"][:10]
    assert answer.headers["content-disposition"] == f'attachment; filename="export-{day}.zip"'
    files = unzipped(answer.content)
    assert list(files) == [*(name_of(document) for document in given), "manifest.csv"]
    for document in given:
        text = text_of(files[name_of(document)])
        titles = {other["items"][0]["title"] for other in some if other["items"][0]["title"] in text}
        assert titles == {document["items"][0]["title"]}
    assert manifest_of(files) == [
        {
            "file": name_of(document),
            "document_id": document["id"],
            "number": document["number"] or "",
            "error": "",
        }
        for document in given
    ]


def test_each_file_shows_and_says_what_it_does_alone(account: Account) -> None:
    """With all that a page may hold: a logo, a payment code, many sheets, and words from the right."""
    payee = {"iban": "DE89370400440532013000", "bic": "COBADEFFXXX", "payment_terms": "30 days"}
    assert account.http.put("/v1/account", json={"name": "Payee", **payee}).status_code == 200
    logo = account.http.put(
        "/v1/account/logo", content=encoded(picture()), headers={"content-type": "image/png"}
    )
    assert logo.status_code == 200, logo.text
    lines = [line(title=f"Thing {number}", description="Of some length. " * 9) for number in range(40)]
    documents = [
        account.document(
            template=template, status="sent", currency="EUR", locale=locale, items=lines[:count], notes="Well"
        )
        for template in ("clean", "modern", "classic", "minimal")
        for locale, count in (("en", 3), ("ar", 40), ("de", 1))
    ]
    alone = [account.http.get(f"/v1/documents/{each['id']}/pdf").content for each in documents]
    parts = {"documents": ids_of(documents)}
    files = unzipped(downloaded(account, ended(account, asked(account, **parts)["id"])).content)
    for document, pdf in zip(documents, alone, strict=True):
        assert_alike(files[name_of(document)], pdf)
        with pikepdf.open(io.BytesIO(files[name_of(document)])) as opened:
            assert opened.check_pdf_syntax() == []
    assert all(word in str([told(pdf) for pdf in alone]) for word in ("/Alt", "/Scope", "/XYZ"))
    merged = downloaded(account, ended(account, asked(account, **parts, format="pdf")["id"])).content
    assert difference(drawn(merged), b"".join(map(drawn, alone))) <= SHADES
    assert tags_of(merged) == [tag for pdf in alone for tag in tags_of(pdf)]


def tags_of(pdf: bytes) -> list[str]:
    """Of all that is in a document, which in a merged one is a part."""
    tags = [tag.strip() for tag in told(pdf)["structure"]]
    return [tag for tag in tags if not tag.startswith(("/Document", "/Part"))]


@pytest.mark.parametrize("order", ["newest", "oldest", "number"])
def test_a_merged_pdf_holds_all_pages_in_the_order_asked_for(
    house: Account, some: list[dict[str, Any]], order: str
) -> None:
    export = ended(house, asked(house, documents=ids_of(some), format="pdf", order=order)["id"])
    answer = downloaded(house, export)
    assert answer.headers["content-type"] == "application/pdf"
    pages = text_of(answer.content).removesuffix("\f").split("\f")
    by_number = sorted(some, key=lambda each: (each["number"] is None, each["number"]))
    wanted = {"newest": some[::-1], "oldest": some, "number": by_number}[order]
    assert len(pages) == len(wanted)
    for page, document in zip(pages, wanted, strict=True):
        assert document["items"][0]["title"] in page
    with pikepdf.open(io.BytesIO(answer.content)) as merged, merged.open_outline() as outline:
        assert merged.check_pdf_syntax() == []
        titles = [entry.title for entry in outline.root]
    assert len(titles) == len(wanted)
    assert all((each["number"] or "") in title for title, each in zip(titles, wanted, strict=True))


def test_the_same_export_is_the_same_bytes(house: Account, some: list[dict[str, Any]]) -> None:
    first, second = (
        downloaded(house, ended(house, asked(house, documents=ids_of(some))["id"])) for _ in range(2)
    )
    assert first.content == second.content
    assert first.headers["etag"] != second.headers["etag"]


def test_a_download_is_had_in_ranges_and_not_again(house: Account, some: list[dict[str, Any]]) -> None:
    export = ended(house, asked(house, documents=ids_of(some[:2]))["id"])
    whole = downloaded(house, export)
    size, etag = len(whole.content), whole.headers["etag"]
    assert downloaded(house, export, **{"if-none-match": etag}).status_code == 304
    for asked_for, first, last in (
        ("bytes=0-9", 0, 9),
        ("bytes=10-", 10, size - 1),
        ("bytes=-5", size - 5, size - 1),
        (f"bytes=1-{size * 2}", 1, size - 1),
    ):
        part = downloaded(house, export, range=asked_for, **{"if-range": etag})
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes {first}-{last}/{size}"
        assert part.content == whole.content[first : last + 1]
    for ignored in ("bytes=-", "bytes=9-3", "bytes=0-1,3-4", "lines=1-2", "bytes=a-b"):
        assert downloaded(house, export, range=ignored).content == whole.content
    assert downloaded(house, export, range="bytes=0-9", **{"if-range": '"x"'}).status_code == 200
    beyond = downloaded(house, export, range=f"bytes={size}-")
    refused(beyond, 416, "range_not_satisfiable")
    assert beyond.headers["content-range"] == f"bytes */{size}"
    head = house.http.head(export["download_url"])
    assert (int(head.headers["content-length"]), head.content) == (size, b"")


def test_unknown_documents_are_named_all_at_once(
    house: Account, some: list[dict[str, Any]], open_account: Open
) -> None:
    theirs = open_account().document()["id"]
    body = {"documents": [some[0]["id"], "x", theirs, new_id("doc"), some[0]["id"], 7], "format": "rar"}
    details = refused(house.http.post("/v1/exports", json=body), 422, "validation_error")
    assert set(details) == {"format", *(f"documents[{place}]" for place in (1, 2, 3, 4, 5))}


def test_a_filter_that_matches_nothing_is_refused(account: Account) -> None:
    details = refused(account.http.post("/v1/exports", json={"filter": {}}), 422, "validation_error")
    assert details == {"filter": "Matches no document"}


def test_an_export_counts_one_call_and_no_document(account: Account) -> None:
    document = account.document()["id"]
    before = account.usage()
    asked(account, documents=[document])
    after = account.usage()
    assert after["api_calls"]["used"] == before["api_calls"]["used"] + 2
    assert after["documents"] == before["documents"]


def test_an_idempotency_key_makes_one_export(account: Account) -> None:
    body = {"documents": [account.document()["id"]]}
    answers = [
        account.http.post("/v1/exports", json=body, headers={"idempotency-key": "year-end"}) for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert account.http.get("/v1/exports").json()["pagination"]["total"] == 1


def test_exports_are_listed_newest_first_without_their_errors(account: Account) -> None:
    document = account.document()["id"]
    made = [asked(account, documents=[document])["id"] for _ in range(3)]
    page = account.http.get("/v1/exports?per_page=2").json()
    assert [export["id"] for export in page["data"]] == made[:0:-1]
    assert list(page["data"][0]) == FIELDS[:-1]
    rest = account.http.get(f"/v1/exports?cursor={page['pagination']['next_cursor']}").json()
    assert [export["id"] for export in rest["data"]] == made[:1]
    assert page["pagination"]["total"] == 3
    refused(account.http.get("/v1/exports?state=ready"), 400, "invalid_parameter")


def test_a_deleted_document_is_an_error_of_its_own(account: Account) -> None:
    documents = [account.document(status="sent") for _ in range(3)]
    gone = documents[1]["id"]
    export = blocked(account, documents)
    account.http.delete(f"/v1/documents/{gone}")
    released(account, export["id"])
    export = ended(account, export["id"])
    assert (export["state"], export["done"], export["failed"]) == ("ready", 2, 1)
    (error,) = export["errors"]
    assert (error["document_id"], error["error"]) == (gone, "not_found")
    assert "deleted" in error["message"]
    files = unzipped(downloaded(account, export).content)
    assert list(files) == [name_of(documents[0]), name_of(documents[2]), "manifest.csv"]
    assert manifest_of(files)[1] == {
        "file": "",
        "document_id": gone,
        "number": "",
        "error": error["message"],
    }


def test_when_every_document_fails_the_export_has_failed(account: Account) -> None:
    document = account.document()
    export = blocked(account, [document])
    account.http.delete(f"/v1/documents/{document['id']}")
    released(account, export["id"])
    export = ended(account, export["id"])
    assert (export["state"], export["done"], export["failed"]) == ("failed", 0, 1)
    assert export["message"]
    assert export["download_url"] is None
    refused(account.http.get(f"/v1/exports/{export['id']}/download"), 409, "export_not_ready")


def test_what_waits_has_no_file_yet_and_can_be_cancelled(account: Account) -> None:
    export = blocked(account, [account.document()])
    early = account.http.get(f"/v1/exports/{export['id']}/download")
    refused(early, 409, "export_not_ready")
    assert int(early.headers["retry-after"]) >= 1
    cancelled = account.http.post(f"/v1/exports/{export['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    refused(account.http.post(f"/v1/exports/{export['id']}/cancel"), 422, "invalid_transition")
    late = account.http.get(f"/v1/exports/{export['id']}/download")
    refused(late, 409, "export_not_ready")
    assert "retry-after" not in late.headers


def test_a_cancelled_export_leaves_nothing(account: Account) -> None:
    documents = [account.document() for _ in range(3)]
    export = asked(account, documents=ids_of(documents))
    answer = account.http.post(f"/v1/exports/{export['id']}/cancel")
    if answer.status_code == 422:
        pytest.skip("it was ready already")
    assert state_of(account, export["id"])["state"] == "cancelled"


def test_an_account_has_at_most_ten_unfinished_exports(account: Account) -> None:
    document = account.document()
    first = blocked(account, [document])
    for _ in range(UNFINISHED_MAX - 2):
        asked(account, documents=[document["id"]])
    full = account.http.post("/v1/exports", json={"documents": [document["id"]]})
    refused(full, 429, "rate_limited")
    assert int(full.headers["retry-after"]) >= 1
    account.http.post(f"/v1/exports/{first['id']}/cancel")
    asked(account, documents=[document["id"]])


def test_exports_of_an_account_end_one_after_the_other(account: Account) -> None:
    documents = [account.document(status="sent") for _ in range(6)]
    made = [asked(account, documents=ids_of(documents))["id"] for _ in range(3)]
    for export_id in made:
        ended(account, export_id)
    rows = account.sql("select id from api.exports where account_id = $1 order by updated_at", account.id)
    assert [row[0] for row in rows] == made


def test_more_than_ten_thousand_are_refused(house: Account, some: list[dict[str, Any]]) -> None:
    many = {"documents": [some[0]["id"]] * (DOCUMENTS_MAX + 1)}
    details = refused(house.http.post("/v1/exports", json=many), 422, "validation_error")
    assert details == {"documents": "Must hold from 1 to 10,000 ids"}


def test_ten_thousand_documents_are_one_export_and_each_error_is_told(account: Account) -> None:
    one = account.document()["id"]
    account.sql(
        """
        insert into api.documents (
            account_id, id, type, number, status, client_id, client, seller, currency, issued_date, due_date,
            items, subtotal, tax_rate, tax_amount, total, notes, template, created_at, updated_at
        )
        select
            account_id, 'doc_' || lpad(n::text, 34, '0'), type, number, status, client_id, client, seller,
            currency, issued_date, due_date, items, subtotal, tax_rate, tax_amount, total, notes, template,
            created_at, updated_at
        from api.documents, generate_series(1, $2::integer) n where id = $1
        """,
        one,
        DOCUMENTS_MAX,
    )
    details = refused(account.http.post("/v1/exports", json={"filter": {}}), 422, "validation_error")
    assert "10,000" in details["filter"]
    ids = [f"doc_{number:034}" for number in range(DOCUMENTS_MAX, 0, -1)]
    export = blocked(account, [{"id": document_id} for document_id in ids])
    assert export["total"] == DOCUMENTS_MAX
    account.sql("delete from api.documents where account_id = $1 and id <> $2", account.id, one)
    released(account, export["id"])
    export = ended(account, export["id"])
    assert (export["state"], export["failed"]) == ("failed", DOCUMENTS_MAX)
    assert [error["document_id"] for error in export["errors"]] == ids


def spent(account: Account, export_id: str, part: str) -> None:
    """Let a part, the first or the joining of all, have been taken as often as may be."""
    order = {"first": "asc", "joining": "desc"}[part]
    account.sql(
        f"""
        update api.export_parts set attempts = $2 where export_id = $1 and first = (
            select first from api.export_parts where export_id = $1 order by first {order} limit 1
        )
        """,  # noqa: S608 - one of two words
        export_id,
        ATTEMPTS_MAX,
    )


def test_a_part_that_was_taken_too_often_fails_none_of_its_documents_untried(account: Account) -> None:
    documents = [account.document(status="sent") for _ in range(6)]
    export = blocked(account, documents)
    spent(account, export["id"], "first")
    released(account, export["id"])
    export = ended(account, export["id"])
    assert (export["state"], export["done"], export["failed"]) == ("ready", 6, 0)
    assert len(unzipped(downloaded(account, export).content)) == 7
    assert len(account.sql("select from api.export_parts where export_id = $1", export["id"])) == 3


def test_a_file_that_is_not_put_together_in_all_its_tries_is_a_failure(account: Account) -> None:
    export = blocked(account, [account.document()])
    spent(account, export["id"], "joining")
    released(account, export["id"])
    export = ended(account, export["id"])
    assert (export["state"], export["done"]) == ("failed", 1)
    assert export["message"] == NOT_JOINED.format(TRIED_TOO_OFTEN)


def test_a_part_holds_no_more_than_some_megabytes_of_logos(account: Account) -> None:
    noise = Image.frombytes("RGB", (550, 290), Random(1).randbytes(550 * 290 * 3))
    logo = account.http.put("/v1/account/logo", content=encoded(noise), headers={"content-type": "image/png"})
    assert logo.status_code == 200, logo.text
    documents = [account.document(status="sent" if at else "draft") for at in range(60)]
    export = ended(account, asked(account, documents=ids_of(documents))["id"])
    assert (export["state"], export["done"]) == ("ready", 60)
    rows = account.sql(
        "select count, octet_length(png) from api.export_parts p join api.logos l on l.account_id = p.account_id"
        " where export_id = $1 order by first",
        export["id"],
    )
    fitting = PART_LOGO_BYTES_MAX // rows[0][1]
    assert [row[0] for row in rows] == [fitting, 60 - fitting, 0]
    files = unzipped(downloaded(account, export).content)
    assert all(len(files[name_of(each)]) > rows[0][1] * 0.9 for each in documents)


def test_a_long_document_is_a_part_by_itself(account: Account) -> None:
    long = account.document(items=[line(title=f"Line {number}") for number in range(1_600)])
    short = [account.document() for _ in range(2)]
    export = reached(
        account,
        asked(account, documents=[short[0]["id"], long["id"], short[1]["id"]])["id"],
        lambda export: export["state"] == "ready",
    )
    rows = account.sql("select count from api.export_parts where export_id = $1 order by first", export["id"])
    assert [row[0] for row in rows] == [1, 1, 1, 0]
    assert len(unzipped(downloaded(account, export).content)) == 4
