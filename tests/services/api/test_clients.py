"""Clients over HTTP: created, read, changed in part, deleted."""

import pytest
from account import Account, refused
from bodies import CLIENT, JSON

FIELDS = [
    "id", "name", "email", "company", "country", "address_line1", "address_line2", "city", "region", "postal_code",
    "phone", "tax_id", "locale", "external_id", "metadata", "created_at", "updated_at",
]  # fmt: skip


def test_the_documented_example_is_created_as_documented(house: Account) -> None:
    answer = house.http.post("/v1/clients", json=CLIENT)
    assert answer.status_code == 201
    assert list(answer.json()) == FIELDS
    assert {name: answer.json()[name] for name in CLIENT} == CLIENT
    assert answer.json()["id"].startswith("cl_")
    assert answer.json()["tax_id"] is None


def test_what_was_answered_at_create_is_what_is_read(house: Account) -> None:
    created = house.http.post("/v1/clients", json={"name": "Ünï 漢字 🧾", "region": "\u202e"})
    assert house.http.get(f"/v1/clients/{created.json()['id']}").content == created.content


def test_a_name_is_enough_and_required(house: Account) -> None:
    assert house.http.post("/v1/clients", json={"name": "Acme"}).status_code == 201
    answer = house.http.post("/v1/clients", json={"company": "Acme"})
    assert refused(answer, 422, "validation_error") == {"name": "This field is required"}
    assert answer.json()["message"] == "The name field is required"


def test_all_the_broken_fields_are_told_at_once(house: Account) -> None:
    answer = house.http.post("/v1/clients", json={"email": "nobody", "phone": 5, "naem": "x", "city": "\x00"})
    assert set(refused(answer, 422, "validation_error")) == {"name", "email", "phone", "naem", "city"}


@pytest.mark.parametrize("email", ["jane", "jane@", "@acme.example", "jane@acme", "a b@c.de", "a@b..de"])
def test_an_email_must_look_like_one(house: Account, email: str) -> None:
    answer = house.http.post("/v1/clients", json={**CLIENT, "email": email})
    assert set(refused(answer, 422, "validation_error")) == {"email"}


@pytest.mark.parametrize("country", ["United States", "Côte d'Ivoire", "US", " somewhere "])
def test_a_country_is_kept_as_given(house: Account, country: str) -> None:
    assert house.client(country=country)["country"] == country


def test_a_change_changes_what_it_names_and_keeps_the_rest(house: Account) -> None:
    before = house.client(phone="1")
    after = house.http.put(f"/v1/clients/{before['id']}", json={"city": "Paris", "email": None})
    assert after.status_code == 200
    expected = {**before, "city": "Paris", "email": None, "updated_at": after.json()["updated_at"]}
    assert after.json() == expected
    assert house.http.get(f"/v1/clients/{before['id']}").json() == expected


@pytest.mark.parametrize(
    "body",
    [
        '{"name": ""}',
        '{"name": null}',
        '{"naem": "x"}',
        '{"email": "x"}',
        '{"id": "cl_1"}',
        "[]",
        '{"name": 5}',
    ],
)
def test_a_change_is_held_to_the_same_rules(house: Account, body: str) -> None:
    before = house.client()
    refused(
        house.http.put(f"/v1/clients/{before['id']}", content=body, headers=JSON), 422, "validation_error"
    )
    assert house.http.get(f"/v1/clients/{before['id']}").json() == before


def test_a_deleted_client_is_gone(house: Account) -> None:
    doomed = house.client()["id"]
    answer = house.http.delete(f"/v1/clients/{doomed}")
    assert (answer.status_code, answer.json()) == (200, {"id": doomed, "deleted": True})
    for answer in (
        house.http.get(f"/v1/clients/{doomed}"),
        house.http.put(f"/v1/clients/{doomed}", json={"city": "Paris"}),
        house.http.delete(f"/v1/clients/{doomed}"),
    ):
        refused(answer, 404, "not_found")
    assert refused(house.post(client_id=doomed), 422, "validation_error") == {"client_id": "No such client"}


def test_the_list_is_newest_first_in_the_documented_shape(account: Account) -> None:
    made = [account.client(name=f"Client {index}") for index in range(3)]
    answer = account.http.get("/v1/clients").json()
    assert answer == {
        "data": made[::-1],
        "pagination": {"page": 1, "per_page": 25, "total": 3, "total_pages": 1, "next_cursor": None},
    }


def test_a_client_may_have_a_language_of_its_own(house: Account) -> None:
    client = house.client(locale="fr")
    assert client["locale"] == "fr"
    cleared = house.http.put(f"/v1/clients/{client['id']}", json={"locale": None})
    assert (cleared.status_code, cleared.json()["locale"]) == (200, None)
    answer = house.http.put(f"/v1/clients/{client['id']}", json={"locale": "fr_FR"})
    assert set(refused(answer, 422, "validation_error")) == {"locale"}


def test_a_client_of_the_release_before_is_shown_with_all_its_fields(house: Account) -> None:
    client = house.client()
    house.sql(
        "update api.clients set profile = (profile::jsonb - 'locale')::json where id = $1", client["id"]
    )
    assert house.http.get(f"/v1/clients/{client['id']}").json() == client
