"""The gateway's tests meet it over HTTP, as accounts on the running product."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from account import Account
from product import Product
from serving import Served, served
from site_app import Application

Open = Callable[..., Account]


@pytest.fixture
def open_account(product: Product) -> Iterator[Open]:
    """Makes accounts on the options of `accounts create`; by default nothing is limited."""
    with ExitStack() as opened:
        yield lambda *options: opened.enter_context(Account(product, *options))


@pytest.fixture
def account(open_account: Open) -> Account:
    """An account of this test's own."""
    return open_account()


@pytest.fixture(scope="module")
def house(product: Product) -> Iterator[Account]:
    """An account that the tests of a file share, for what does not depend on what else it holds."""
    with Account(product) as shared:
        yield shared


@pytest.fixture
def application() -> Application:
    """What `site` serves."""
    return Application()


@pytest.fixture
def site(application: Application) -> Iterator[Served]:
    """A server as the gateway's, in this process and without any store."""
    with served(application) as running:
        yield running
        application.open.set()
