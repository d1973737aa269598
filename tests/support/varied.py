"""Documents of two accounts that differ in all that a list knows of them, few enough to be listed whole."""

from datetime import date

ACCOUNT = "acct_1"
TODAY = date(2026, 3, 15)
COUNT = 97
FILL = """
insert into api.documents (
    account_id, id, type, number, status, client_id, client, currency, issued_date, due_date, items, subtotal, tax_rate,
    tax_amount, total, notes, template, created_at, updated_at, body, lapsed
)
select
    case when i % 11 = 0 then 'acct_2' else $1 end, 'doc_' || lpad(to_hex(i * 37 % 101), 34, '0'),
    (array['invoice', 'quote'])[1 + i % 2], case when i % 4 > 0 then 'INV-' || (i * 53 % 97) end,
    case when i % 4 = 0 then 'draft' when i % 4 = 3 then 'paid' else 'sent' end, 'cl_' || i % 3, '{"name": "Acme"}',
    (array['USD', 'EUR', 'JPY'])[1 + i % 3], date '2026-03-01' + i % 9,
    case when i % 5 > 0 then date '2026-03-10' + i % 12 end, '[]', 0, 0, 0, i % 13, 'note ' || i % 6, 'clean',
    now(), now() - (i % 17 || ' hours')::interval, repeat('x', 100),
    i % 4 in (1, 2) and i % 5 > 0 and i % 12 < 3
from generate_series(1, $2::integer) i
"""
