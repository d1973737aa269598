"""The form of a language: every word that a document needs. Languages are values of it, one file each."""

import msgspec


class Labels(msgspec.Struct, frozen=True, kw_only=True):
    """Words that stand on a page of any type. ``page`` holds ``{x}`` and ``{y}``, the page and how many there are."""

    item: str
    quantity: str
    rate: str
    amount: str
    notes: str
    brought: str
    carried: str
    page: str
    payment: str
    scan: str


class KindWords(msgspec.Struct, frozen=True, kw_only=True):
    """A type's words: its title, who sends it to whom, its dates, its total, and what its status makes of it.

    ``due`` and ``ship_to`` may be empty, which leaves the row out. ``overdue``, ``paid`` and ``cancelled`` stand here
    because they agree with the title's gender in half of the languages; they are written as inside a sentence.
    """

    title: str
    number: str
    sender: str
    client: str
    issued: str
    due: str
    total: str
    overdue: str
    paid: str
    cancelled: str
    ship_to: str = ""


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """A language. ``tax`` holds ``{rate}``, ``tax_id`` and, for the numbers of the EU and Britain, ``vat_id`` hold
    ``{id}``; ``subject`` holds ``{title}``, ``{client}`` and ``{day}``.
    """

    labels: Labels
    kinds: dict[str, KindWords]
    draft: str
    subtotal: str
    tax: str
    tax_id: str
    vat_id: str
    reference: str
    payment_terms: str
    subject: str
