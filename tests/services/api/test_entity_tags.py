"""Entity tags: a reader who holds the answer is told so, and a writer who holds an older one changes nothing."""

import asyncio
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import httpx2
import msgspec
import pytest
from account import Account, refused
from bodies import CLIENT, document, line
from images import encoded, picture

Headers = dict[str, str]


class Thing(msgspec.Struct, frozen=True):
    """A document or client, and what can be done to it."""

    account: Account
    path: str
    change: dict[str, Any]

    def get(self, **headers: str) -> httpx2.Response:
        return self.account.http.get(self.path, headers=named(headers))

    def tag(self) -> str:
        return self.get().headers["etag"]

    def put(self, **headers: str) -> httpx2.Response:
        return self.account.http.put(self.path, json=self.change, headers=named(headers))

    def delete(self, **headers: str) -> httpx2.Response:
        return self.account.http.delete(self.path, headers=named(headers))


def named(headers: Headers) -> Headers:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def a_document(house: Account) -> Thing:
    return Thing(house, f"/v1/documents/{house.document()['id']}", {"notes": "Changed"})


def a_client(house: Account) -> Thing:
    return Thing(house, f"/v1/clients/{house.client()['id']}", {"city": "Paris"})


@pytest.fixture(params=[a_document, a_client])
def thing(request: pytest.FixtureRequest, house: Account) -> Thing:
    return request.param(house)


def tag_of(body: bytes) -> str:
    return f'"{blake2b(body, digest_size=16).hexdigest()}"'


def test_every_answer_that_shows_a_document_bears_the_tag_of_its_bytes(house: Account) -> None:
    created = house.http.post("/v1/documents", json=document(house.client_id))
    path = f"/v1/documents/{created.json()['id']}"
    answers = [
        created,
        house.http.get(path),
        house.http.put(path, json={"status": "sent"}),
        house.http.post(f"{path}/pay"),
        house.http.get(path),
    ]
    tags = [answer.headers["etag"] for answer in answers]
    assert tags == [tag_of(answer.content) for answer in answers]
    assert (tags[0], tags[3]) == (tags[1], tags[4])
    assert len(set(tags)) == 3
    assert house.http.head(path).headers["etag"] == tags[4]


def test_every_answer_that_shows_a_client_bears_the_tag_of_its_bytes(house: Account) -> None:
    created = house.http.post("/v1/clients", json=CLIENT)
    path = f"/v1/clients/{created.json()['id']}"
    answers = [
        created,
        house.http.get(path),
        house.http.put(path, json={"city": "Paris"}),
        house.http.get(path),
    ]
    assert [answer.headers["etag"] for answer in answers] == [tag_of(answer.content) for answer in answers]


def test_lists_deletions_and_refusals_bear_none(thing: Thing) -> None:
    answers = [
        thing.account.http.get(thing.path.rpartition("/")[0]),
        thing.account.http.put(thing.path, json={"bogus": 1}),
        thing.delete(),
        thing.get(),
    ]
    assert [answer.status_code for answer in answers] == [200, 422, 200, 404]
    assert not [answer for answer in answers if "etag" in answer.headers]


def test_a_reader_who_holds_the_answer_gets_no_body(thing: Thing) -> None:
    tag = thing.tag()
    for given in (tag, f"W/{tag}", "*", f'"x", {tag}'):
        answer = thing.get(if_none_match=given)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert thing.get(if_none_match='"x"').content == thing.get().content
    thing.put()
    assert thing.get(if_none_match=tag).status_code == 200


def test_a_draft_is_another_answer_once_its_client_has_changed(house: Account) -> None:
    client_id = house.client()["id"]
    path = f"/v1/documents/{house.document(client_id=client_id)['id']}"
    tag = house.http.get(path).headers["etag"]
    house.http.put(f"/v1/clients/{client_id}", json={"city": "Paris"})
    assert house.http.get(path, headers={"if-none-match": tag}).status_code == 200
    refused(house.http.put(path, json={}, headers={"if-match": tag}), 412, "precondition_failed")


@pytest.mark.parametrize(
    "given",
    [
        lambda tag: tag, lambda _: "*", lambda tag: f'"x", {tag}', lambda tag: f'{tag} ,\t"y"',
        lambda tag: f"W/{tag}, {tag}",
    ],
    ids=["the tag", "any", "a list", "spaces", "weak and strong"],
)  # fmt: skip
def test_a_writer_who_holds_the_answer_may_write(thing: Thing, given: Callable[[str], str]) -> None:
    assert thing.put(if_match=given(thing.tag())).status_code == 200
    assert thing.delete(if_match=given(thing.tag())).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        lambda _: '"x"',
        lambda tag: f"W/{tag}",
        lambda tag: tag.strip('"'),
        lambda _: "",
        lambda _: '"x", W/"y"',
    ],
    ids=["another", "weak", "unquoted", "empty", "a list"],
)
def test_a_writer_who_holds_another_changes_nothing(thing: Thing, given: Callable[[str], str]) -> None:
    before = thing.get()
    for answer in (
        thing.put(if_match=given(before.headers["etag"])),
        thing.delete(if_match=given(before.headers["etag"])),
    ):
        assert refused(answer, 412, "precondition_failed") == {}
        assert "read it again" in answer.json()["message"]
    assert thing.get().content == before.content


def test_two_lines_of_if_match_are_one_list(thing: Thing) -> None:
    headers = [("if-match", '"x"'), ("if-match", thing.tag())]
    assert thing.account.http.put(thing.path, json=thing.change, headers=headers).status_code == 200


def test_what_is_there_is_not_written_where_it_must_not_be(thing: Thing) -> None:
    tag = thing.tag()
    for given in ("*", tag):
        refused(thing.put(if_none_match=given), 412, "precondition_failed")
    assert thing.tag() == tag
    assert thing.put(if_none_match='"x"').status_code == 200


@pytest.mark.parametrize("action", ["pay", "cancel"])
def test_moving_on_asks_for_the_same_answer(house: Account, action: str) -> None:
    path = f"/v1/documents/{house.document()['id']}"
    tag = house.http.get(path).headers["etag"]
    house.http.put(path, json={"status": "sent"})
    refused(house.http.post(f"{path}/{action}", headers={"if-match": tag}), 412, "precondition_failed")
    assert house.http.get(path).json()["status"] == "sent"
    now = house.http.get(path).headers["etag"]
    assert house.http.post(f"{path}/{action}", headers={"if-match": now}).status_code == 200


def test_what_has_become_overdue_meanwhile_is_another_answer(house: Account) -> None:
    overdue = house.in_status("overdue")
    path = f"/v1/documents/{overdue['id']}"
    answer = house.http.get(path)
    as_sent = tag_of(answer.content.replace(b'"status":"overdue"', b'"status":"sent"', 1))
    refused(house.http.post(f"{path}/pay", headers={"if-match": as_sent}), 412, "precondition_failed")
    assert house.http.post(f"{path}/pay", headers={"if-match": answer.headers["etag"]}).status_code == 200


def test_what_is_not_there_is_404_whatever_is_asked_of_it(thing: Thing) -> None:
    tag = thing.tag()
    thing.delete()
    for given in ("*", tag):
        refused(thing.put(if_match=given), 404, "not_found")
        refused(thing.delete(if_match=given), 404, "not_found")
        refused(thing.get(if_none_match=given), 404, "not_found")


def test_the_condition_is_told_before_the_faults_of_the_body(thing: Thing) -> None:
    answer = thing.account.http.put(thing.path, json={"bogus": 1}, headers={"if-match": '"x"'})
    refused(answer, 412, "precondition_failed")


def test_of_writers_who_hold_the_same_answer_one_writes(thing: Thing) -> None:
    tag, writers = thing.tag(), 8

    async def together() -> list[int]:
        headers = {**thing.account.http.headers, "if-match": tag}
        async with httpx2.AsyncClient(
            base_url=thing.account.http.base_url, headers=headers, timeout=60
        ) as http:
            field = next(iter(thing.change))
            calls = [http.put(thing.path, json={field: f"Writer {writer}"}) for writer in range(writers)]
            return [answer.status_code for answer in await asyncio.gather(*calls)]

    assert sorted(asyncio.run(together())) == [200] + [412] * (writers - 1)


def test_a_replay_bears_the_tag_of_the_first_answer(thing: Thing) -> None:
    key = {"idempotency_key": thing.path, "if_match": thing.tag()}
    first, again = thing.put(**key), thing.put(**key)
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["etag"] == first.headers["etag"] == tag_of(first.content)


def test_a_condition_that_failed_is_looked_at_again_under_the_same_key(thing: Thing) -> None:
    refused(thing.put(idempotency_key=f"{thing.path} x", if_match='"x"'), 412, "precondition_failed")
    answer = thing.put(idempotency_key=f"{thing.path} x", if_match=thing.tag())
    assert (answer.status_code, "idempotent-replayed" in answer.headers) == (200, False)


def test_who_reads_compressed_may_write_by_the_tag_of_what_was_read(house: Account) -> None:
    made = house.document(items=[line(description="x" * 3_000)])
    path = f"/v1/documents/{made['id']}"
    read = house.http.get(path, headers={"accept-encoding": "gzip"})
    held = {"if-none-match": read.headers["etag"], "accept-encoding": "gzip"}
    assert house.http.get(path, headers=held).status_code == 304
    written = house.http.put(path, json={"notes": "x"}, headers={"if-match": read.headers["etag"]})
    assert written.status_code == 200
    refused(
        house.http.put(path, json={}, headers={"if-match": read.headers["etag"]}), 412, "precondition_failed"
    )


def test_a_condition_on_a_body_that_nobody_wrote_is_one_on_what_reading_answers(house: Account) -> None:
    made = house.document()
    path = f"/v1/documents/{made['id']}"
    tag = house.http.get(path).headers["etag"]
    house.sql("update api.documents set body = null where id = $1", made["id"])
    assert house.http.get(path).headers["etag"] == tag
    assert house.http.put(path, json={"notes": "x"}, headers={"if-match": tag}).status_code == 200


ACCOUNT, LOGO = "/v1/account", "/v1/account/logo"


def test_the_account_is_changed_by_who_has_seen_how_it_is(account: Account) -> None:
    read = account.http.get(ACCOUNT)
    tag = read.headers["etag"]
    assert tag == tag_of(read.content)
    assert account.http.get(ACCOUNT, headers={"if-none-match": tag}).status_code == 304
    changed = account.http.put(ACCOUNT, json={"city": "Paris"}, headers={"if-match": tag})
    assert (changed.status_code, changed.headers["etag"]) == (200, tag_of(changed.content))
    late = account.http.put(ACCOUNT, json={"city": "Rome"}, headers={"if-match": tag})
    refused(late, 412, "precondition_failed")
    assert account.http.get(ACCOUNT).json()["city"] == "Paris"


def test_a_logo_is_changed_and_deleted_by_who_has_seen_it(account: Account) -> None:
    def put(side: int, **headers: str) -> httpx2.Response:
        content = encoded(picture((side, side)))
        return account.http.put(
            LOGO, content=content, headers={"content-type": "image/png", **named(headers)}
        )

    refused(put(10, if_match="*"), 412, "precondition_failed")
    assert put(10, if_none_match="*").status_code == 200
    first = account.http.get(LOGO).headers["etag"]
    refused(put(20, if_none_match="*"), 412, "precondition_failed")
    assert put(20, if_match=first).status_code == 200
    for answer in (put(30, if_match=first), account.http.delete(LOGO, headers={"if-match": first})):
        refused(answer, 412, "precondition_failed")
    second = account.http.get(LOGO).headers["etag"]
    assert second != first
    assert account.http.delete(LOGO, headers={"if-match": second}).status_code == 200
