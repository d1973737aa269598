"""The template catalogue over HTTP."""

from account import Account, caller
from product import Product


def test_the_templates_are_the_documented_ones_word_for_word(house: Account) -> None:
    answer = house.http.get("/v1/templates")
    assert answer.status_code == 200
    assert answer.json() == {
        "data": [
            {"id": "clean", "name": "Clean", "description": "Minimal and modern"},
            {"id": "modern", "name": "Modern", "description": "Bold with accent colors"},
            {"id": "classic", "name": "Classic", "description": "Traditional business style"},
            {"id": "minimal", "name": "Minimal", "description": "Ultra-clean with lots of whitespace"},
        ]
    }


def test_any_valid_key_may_see_them(product: Product, house: Account) -> None:
    with caller(product, product.key(house.id, "--scopes", "usage:read")) as http:
        assert http.get("/v1/templates").status_code == 200


def test_every_template_can_be_chosen(house: Account) -> None:
    for template in house.http.get("/v1/templates").json()["data"]:
        assert house.document(template=template["id"])["template"] == template["id"]
