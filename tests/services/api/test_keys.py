"""Keys: the only way in, good for their scopes, until they expire or are revoked."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from account import Account, caller, refused
from doors import EXPORTS, LOGO, WAYS, Way
from hypothesis import given
from hypothesis import strategies as st
from images import encoded, picture
from product import Product
from raw import exchange

from services.api.auth import SCOPES, bearer_key, hash_key, is_well_formed, new_key
from services.api.http import header
from services.api.store.ids import new_id

PRINTABLE = st.characters(min_codepoint=33, max_codepoint=126)


def test_a_new_key_is_well_formed_and_never_the_same() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith("pk_live_") and is_well_formed(key) for key in keys)


@given(st.data())
def test_a_key_with_one_wrong_character_is_refused_without_a_look_up(data: st.DataObject) -> None:
    key = new_key()
    place = data.draw(st.integers(0, len(key) - 1))
    other = data.draw(PRINTABLE.filter(lambda character: character != key[place]))
    assert not is_well_formed(key[:place] + other + key[place + 1 :])


@given(st.integers(8, 36))
def test_a_key_with_two_neighbours_swapped_is_refused(place: int) -> None:
    key = new_key()
    swapped = key[:place] + key[place + 1] + key[place] + key[place + 2 :]
    assert swapped == key or not is_well_formed(swapped)


@given(st.text(max_size=60))
def test_no_text_brings_the_check_down(text: str) -> None:
    assert not is_well_formed(text)
    assert len(hash_key(text)) == 32


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Basic dXNlcjpwYXNz", "Token {key}", "{key}", "Bearer {key}x", "Bearer x{key}",
     "Bearer {key},{key}", "Bearer pk_live_your_api_key_here", "Bearer pk_test_x", "Bearer {unknown}",
     "Bearer {key} {key}", "Bearer \xe9", "Bearer " + "x" * 10_000],
)  # fmt: skip
def test_no_key_or_no_good_key_is_401(house: Account, authorization: str) -> None:
    value = authorization.replace("{key}", house.key).replace("{unknown}", new_key())
    with caller(house.product) as http:
        answer = http.get("/v1/templates", headers={b"authorization": value.encode("latin-1")})
    refused(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "ratelimit" not in answer.headers


def test_no_authorization_at_all_is_401_on_every_route(product: Product) -> None:
    with caller(product) as http:
        for way in WAYS:
            answer = http.request(way.method, way.path("x"))
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    "form", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer {}   ", "Bearer    {}", " Bearer {}\t"]
)
def test_a_bearer_header_is_read_as_kindly_as_it_may_be(house: Account, form: str) -> None:
    headers = [(b"authorization", form.format(house.key).encode())]
    scope = {"type": "http", "headers": headers}
    assert (bearer_key(scope), header(scope, b"x")) == (house.key, None)
    head = f"GET /v1/templates HTTP/1.1\r\nHost: x\r\nAuthorization: {form.format(house.key)}\r\n\r\n"
    assert exchange(house.product.gateway, head.encode()).status == 200


def test_only_the_hash_of_a_key_is_stored(house: Account) -> None:
    ((row,),) = house.sql("select k::text from api.keys k where account_id = $1", house.id)
    assert house.key not in row
    assert hashlib.sha256(house.key.encode()).hexdigest() in row


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_key_without_the_scope_is_403_and_told_which_one(house: Account, way: Way) -> None:
    others = ",".join(scope for scope in SCOPES if scope != way.scope)
    with caller(house.product, house.product.key(house.id, "--scopes", others)) as http:
        answer = http.request(way.method, way.path(new_id("doc")), json=way.body(house.client_id))
        if way.scope is None:
            assert answer.status_code == 200
            return
        assert answer.status_code == 403
        assert answer.headers["ratelimit"]
        if way.method != "HEAD":
            assert refused(answer, 403, "forbidden") == {"required_scope": way.scope}


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_key_with_the_scope_alone_is_let_in(house: Account, way: Way) -> None:
    scope = way.scope or "usage:read"
    if way.pattern == LOGO:
        house.http.put(LOGO, content=encoded(picture()), headers={"content-type": "image/png"})
    if way.pattern == EXPORTS:
        house.document()
    with caller(house.product, house.product.key(house.id, "--scopes", scope)) as http:
        asked = way.content() or {"json": way.body(house.client_id)}
        answer = http.request(way.method, way.path(new_id("doc")), **asked)
        assert answer.status_code == (404 if way.takes_id else way.success)


def revoke(account: Account, key: str) -> None:
    ((key_id,),) = account.sql("select id from api.keys where hash = $1", hash_key(key))
    account.command("keys", "revoke", key_id)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_revoked_key_is_401_on_its_very_next_request(house: Account, way: Way) -> None:
    key = house.product.key(house.id)
    with caller(house.product, key) as http:
        assert http.get("/v1/templates").status_code == 200
        revoke(house, key)
        answer = http.request(way.method, way.path(new_id("doc")), json=way.body(house.client_id))
        assert answer.status_code == 401
        assert house.http.get("/v1/templates").status_code == 200


def test_a_revoked_key_hears_of_nothing_else(house: Account) -> None:
    """Neither a replay nor another refusal may hide that the key is dead."""
    once = {"idempotency-key": "before-revocation"}
    key = house.product.key(house.id, "--scopes", "clients:write")
    with caller(house.product, key) as http:
        assert http.post("/v1/clients", json={"name": "x"}, headers=once).status_code == 201
        revoke(house, key)
        refused(http.post("/v1/clients", json={"name": "x"}, headers=once), 401, "unauthorized")
        key = house.product.key(house.id, "--scopes", "clients:write")
    with caller(house.product, key) as http:
        http.get("/v1/templates")
        revoke(house, key)
        refused(http.get("/v1/usage"), 401, "unauthorized")


def test_the_other_keys_of_the_account_go_on_with_their_limits_told(house: Account) -> None:
    keys = [house.product.key(house.id, "--scopes", "usage:read") for _ in range(2)]
    with caller(house.product, keys[0]) as http:
        assert http.get("/v1/usage").status_code == 200
        revoke(house, keys[1])
        answer = http.get("/v1/clients")
        assert (answer.status_code, "ratelimit" in answer.headers) == (403, True)


def test_an_expired_key_is_401_though_it_was_good_a_moment_ago(house: Account) -> None:
    end = datetime.now(UTC) + timedelta(seconds=0.5)
    with caller(house.product, house.product.key(house.id, "--expires", end.isoformat())) as http:
        while (answer := http.get("/v1/templates")).status_code == 200:
            pass
    refused(answer, 401, "unauthorized")
    assert datetime.now(UTC) >= end


async def test_a_revocation_does_not_choke_the_requests_that_hold_a_connection(account: Account) -> None:
    """More idempotent requests at once than there are connections, each of which finds its key record stale."""
    other = await asyncio.to_thread(account.product.key, account.id)
    async with httpx2.AsyncClient(
        base_url=account.product.gateway, headers=account.http.headers, timeout=60
    ) as http:
        await http.get("/v1/templates")
        await asyncio.to_thread(revoke, account, other)
        answers = await asyncio.gather(
            *(
                http.post("/v1/clients", json={"name": "x"}, headers={"idempotency-key": f"{n}"})
                for n in range(60)
            )
        )
    assert {answer.status_code for answer in answers} == {201}


def test_a_key_that_has_not_expired_is_good(house: Account) -> None:
    with caller(house.product, house.product.key(house.id, "--expires", "90d")) as http:
        assert http.get("/v1/templates").status_code == 200
