"""Reads that begin before they are admitted: whoever is refused learns nothing, and is not read for again."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from zoneinfo import ZoneInfo

from account import Account, caller

from tests.services.api.conftest import Open
from tests.services.api.test_admission import limited

LIMIT = 20


def test_of_many_reads_at_once_the_limit_is_admitted_and_the_others_learn_nothing(open_account: Open) -> None:
    account = limited(open_account, f"api_calls={LIMIT + 2}")
    document = account.document()  # two calls, with its client

    def read(_: int) -> tuple[int, bytes]:
        answer = account.http.get(f"/v1/documents/{document['id']}")
        return answer.status_code, answer.content

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(read, range(3 * LIMIT)))
    assert Counter(status for status, _ in answers) == {200: LIMIT, 429: 2 * LIMIT}
    assert not any(document["id"].encode() in body for status, body in answers if status == 429)


def test_a_read_with_a_key_that_was_revoked_a_moment_ago_is_refused(account: Account) -> None:
    document = account.document()
    assert account.get(document["id"]) == document
    ((key_id,),) = account.sql("select id from api.keys where account_id = $1", account.id)
    account.command("keys", "revoke", key_id)
    answer = account.http.get(f"/v1/documents/{document['id']}")
    assert (answer.status_code, document["id"] in answer.text) == (401, False)


def test_a_read_of_nothing_is_counted_and_a_refused_one_says_that_it_is_refused(open_account: Open) -> None:
    account = limited(open_account, "api_calls=2")
    assert [account.http.get("/v1/documents/doc_none").status_code for _ in range(4)] == [404, 404, 429, 429]


def test_a_read_after_a_change_of_the_accounts_time_zone_is_of_its_new_day(account: Account) -> None:
    east, west = ("Pacific/Kiritimati", "Pacific/Niue")  # never on the same day
    account.http.put("/v1/account", json={"time_zone": west})
    here = datetime.now(ZoneInfo(west)).date()
    sent = account.document(status="sent", issued_date="2020-01-01", due_date=here.isoformat())
    assert account.get(sent["id"])["status"] == "sent"
    with caller(account.product, account.key) as other:
        other.put("/v1/account", json={"time_zone": east})
    assert account.get(sent["id"])["status"] == "overdue"
