"""A client that waits exactly as long as it is told to passes, and the RateLimit fields tell it the same."""

import re
import time

import httpx2
from account import Account, caller
from product import Product


def test_a_client_that_sleeps_exactly_that_long_passes(product: Product) -> None:
    account = product.account("--plan", "enterprise")
    with Account(product) as owner:
        owner.command("accounts", "set-plan", account, "free", "--limit", "burst_per_min=60")
    with caller(product, product.key(account)) as http:
        for _ in range(3):
            refused = _until_refused(http)
            time.sleep(int(refused.headers["retry-after"]))
            assert http.get("/v1/templates").status_code == 200


def test_the_fields_tell_what_is_left_and_when_there_is_more(product: Product) -> None:
    with caller(product, product.key(product.account("--plan", "free"))) as http:
        answer = http.get("/v1/templates")
    policies = dict(re.findall(r'"(\w+)";q=(\d+)', answer.headers["ratelimit-policy"]))
    assert policies == {"burst": "60", "api_calls": "500", "documents": "20"}
    left = dict(re.findall(r'"(\w+)";r=(\d+);t=\d+', answer.headers["ratelimit"]))
    assert left == {"burst": "59", "api_calls": "499", "documents": "20"}


def _until_refused(http: httpx2.Client) -> httpx2.Response:
    for _ in range(100):
        answer = http.get("/v1/templates")
        if answer.status_code == 429:
            return answer
    raise AssertionError("the burst limit refused nothing")
