"""Previews over HTTP: what a template looks like, by its own sample or under one's own head."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from account import Account, caller, refused
from exported import text_of
from images import decoded, encoded, picture
from product import Product

from shared.templates import TEMPLATES


def preview(account: Account, template: str = "clean", /, **query: str) -> httpx2.Response:
    return account.http.get(f"/v1/templates/{template}/preview", params=query)


def tag(account: Account, **query: str) -> str:
    """What the preview would be; it takes no print to tell."""
    answer = account.http.get("/v1/templates/clean/preview", params=query, headers={"if-none-match": "*"})
    assert (answer.status_code, answer.content) == (304, b""), answer.text
    return answer.headers["etag"]


@pytest.mark.parametrize("template", [template.id for template in TEMPLATES])
def test_every_template_is_shown_as_pdf(house: Account, template: str) -> None:
    answer = preview(house, template)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf"), answer.text
    assert answer.content.startswith(b"%PDF-")
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["content-disposition"] == f'inline; filename="{template}.pdf"'


def test_a_template_is_shown_as_a_picture(house: Account) -> None:
    answer = preview(house, format="png")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png"), answer.text
    drawn = decoded(answer.content)
    assert drawn.width == 1200
    assert 1.38 < drawn.height / drawn.width < 1.45


def test_a_known_tag_is_304_and_the_same_request_the_same_file(house: Account) -> None:
    first, second = preview(house), preview(house)
    assert (first.content, first.headers["etag"]) == (second.content, second.headers["etag"])
    assert tag(house) == first.headers["etag"]


@pytest.mark.parametrize(
    "query",
    [{"type": "quote"}, {"locale": "de"}, {"page_size": "letter"}, {"format": "png"}, {"data": "account"}],
    ids=str,
)
def test_each_parameter_makes_another_preview(house: Account, query: dict[str, str]) -> None:
    assert tag(house, **query) != tag(house)


def test_the_sample_is_the_same_for_everybody_and_ones_own_is_ones_own(
    open_account: Callable[..., Account],
) -> None:
    one, other = open_account(), open_account()
    one.http.put("/v1/account", json={"name": "One"})
    assert tag(one) == tag(other)
    assert tag(one, data="account") != tag(other, data="account")


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Renamed"},
        {"accent_color": "#1a7f5a"},
        {"locale": "de"},
        {"page_size": "letter"},
        {"iban": "NO9386011117947"},
        {"currency": "JPY"},
    ],
    ids=str,
)
def test_ones_own_preview_follows_the_account(account: Account, change: dict[str, Any]) -> None:
    before = tag(account, data="account"), tag(account)
    account.http.put("/v1/account", json=change)
    assert tag(account, data="account") != before[0]
    assert tag(account) == before[1]


def test_a_named_language_goes_before_the_accounts(account: Account) -> None:
    before = tag(account, data="account", locale="fr", page_size="letter")
    account.http.put("/v1/account", json={"locale": "de", "page_size": "a4"})
    assert tag(account, data="account", locale="fr", page_size="letter") == before


def test_ones_own_preview_is_in_ones_own_currency(account: Account) -> None:
    account.http.put("/v1/account", json={"currency": "JPY", "iban": "DE89370400440532013000"})
    own, sample = (text_of(preview(account, data=data).content) for data in ("account", "sample"))
    assert ("1,798,542" in own, "€" in own) == (True, False)
    assert ("17,985.42" in sample, "€" in sample) == (True, True)


def test_ones_own_preview_shows_the_logo(account: Account) -> None:
    before = tag(account, data="account")
    account.http.put("/v1/account/logo", content=encoded(picture()), headers={"content-type": "image/png"})
    answer = preview(account, data="account", format="png")
    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] != before
    teal = (0, 128, 128)
    colours = decoded(answer.content).convert("RGB").getcolors(1_000_000) or []
    assert sum(count for count, colour in colours if colour == teal) > 500


@pytest.mark.parametrize("template", ["baroque", "Clean", "..", "clean.pdf", "%00", "x" * 1000])
def test_an_unknown_template_is_404(house: Account, template: str) -> None:
    refused(house.http.get(f"/v1/templates/{template.replace('..', '%2E%2E')}/preview"), 404, "not_found")


@pytest.mark.parametrize(
    "query",
    [
        {"format": "gif"},
        {"type": "bill"},
        {"locale": "xx"},
        {"page_size": "A4"},
        {"data": "mine"},
        {"width": "5"},
    ],
    ids=str,
)
def test_a_malformed_parameter_is_400_in_json(house: Account, query: dict[str, str]) -> None:
    refused(preview(house, **query), 400, "invalid_parameter")


def test_any_valid_key_may_see_the_sample_and_none_ones_own_without_the_scope(
    product: Product, house: Account
) -> None:
    with caller(product, product.key(house.id, "--scopes", "usage:read")) as http:
        assert http.get("/v1/templates/clean/preview", headers={"if-none-match": "*"}).status_code == 304
        answer = http.get("/v1/templates/clean/preview?data=account")
        assert refused(answer, 403, "forbidden") == {"required_scope": "account:read"}
