"""Previews: the sample with what is named in place of its own."""

import msgspec
import pytest

from services.renderer.page import document_page
from services.renderer.preview import as_job, sample
from shared.messages import Party, PreviewJob
from shared.templates import TEMPLATES

NAMED = {
    "type": "quote", "number": "QUO-2026-000042", "locale": "de", "page_size": "letter",
    "seller": Party(name="Own Studio"), "accent_color": "#1a7f5a", "logo": "logo/acct_1/ab.png",
}  # fmt: skip


def asked(template: str, **named: object) -> PreviewJob:
    return msgspec.convert(
        {"template": template, "template_version": "x", **msgspec.to_builtins(named)}, PreviewJob
    )


@pytest.mark.parametrize("template", [template.id for template in TEMPLATES])
def test_a_preview_that_names_nothing_is_the_templates_sample(template: str) -> None:
    assert as_job(asked(template)) == sample(template)


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_takes_the_samples_place_and_all_else_stays(name: str) -> None:
    assert as_job(asked("clean", **{name: NAMED[name]})) == msgspec.structs.replace(
        sample("clean"), **{name: NAMED[name]}
    )


@pytest.mark.parametrize(
    ("currency", "exponent", "rate", "total"),
    [
        ("EUR", 2, "49.90", "17985.42"), ("USD", 2, "49.90", "17985.42"), ("JPY", 0, "4990", "1798542"),
        ("KWD", 3, "4.990", "1798.542"), ("CLF", 4, "0.4990", "179.8542"),
    ],
)  # fmt: skip
def test_the_samples_amounts_are_whole_in_the_currency_that_is_named(
    currency: str, exponent: int, rate: str, total: str
) -> None:
    job = as_job(asked("clean", currency=currency, exponent=exponent))
    assert (job.currency, job.exponent) == (currency, exponent)
    assert (str(job.items[3].rate), str(job.total)) == (rate, total)
    assert all(line.quantity * line.rate == line.amount for line in job.items)
    assert sum(line.amount for line in job.items) == job.subtotal
    assert job.subtotal + job.tax_amount == job.total
    amounts = [*(line.amount for line in job.items), job.subtotal, job.tax_amount, job.total]
    assert {amount.as_tuple().exponent for amount in amounts} == {-exponent}


def test_nobody_is_asked_to_pay_by_sepa_in_another_currency() -> None:
    own = Party(name="Own Studio", iban="DE89370400440532013000")
    codes = {
        currency: document_page(
            as_job(asked("clean", currency=currency, exponent=2, seller=own))
        ).payment_code
        for currency in ("EUR", "USD")
    }
    assert codes["EUR"]
    assert not codes["USD"]


@pytest.mark.parametrize("template", ["baroque", "..", ""])
def test_a_template_that_is_not_there_is_none(template: str) -> None:
    with pytest.raises(LookupError):
        as_job(asked(template))
