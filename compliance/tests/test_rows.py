"""One row judged, dates read, columns proposed."""

from __future__ import annotations

import csv
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from compliance.imports import columns, dates, export
from compliance.imports.columns import Plan
from compliance.imports.reading import Row
from compliance.imports.rows import CUSTOMERS, Claim, Refused, Taken, judge
from compliance.imports.words import PROBLEMS
from sendserver.lib.addresses import Address, BadAddress, parse

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CORPUS = Path(__file__).parent / "corpus" / "addresses"
CLAIM = Claim(basis="express_soi", earliest=datetime(2025, 3, 1, tzinfo=UTC), source="A form")
PLAN = Plan({0: "email", 1: "consent_at", 2: "country", 3: "first_name", 4: "field"}, ["e", "d", "c", "f", "Plan"])


def take(*cells, plan=PLAN, claim=CLAIM, problem=""):
    return judge(Row(7, list(cells), problem), plan, claim, NOW)


def test_a_good_row():
    row = take(" Ada@Reader.Example ", "31.12.2025", "uk", "Ada", "Gold")
    assert isinstance(row, Taken)
    assert (row.address, row.key, row.domain) == ("Ada@reader.example", "ada@reader.example", "reader.example")
    assert (row.consent_at, row.country, row.basis) == (datetime(2025, 12, 31, tzinfo=UTC), "GB", "express_soi")
    assert (row.first_name, json.loads(row.fields), row.source) == ("Ada", {"Plan": "Gold"}, "A form")


@pytest.mark.parametrize(
    ("cell", "reason", "suggestion"),
    [
        ("", "empty", ""),
        ("ines.at.example.com", "no_at_sign", "ines@example.com"),
        ("ines (at) example.com", "no_at_sign", ""),
        ("ines at example dot com", "no_at_sign", "ines@example.com"),
        ("Ines <ines@example.com>", "not_one_address", "ines@example.com"),
        ("a@b.example,c@d.example", "not_one_address", ""),
        ("ines@example..com", "bad_domain", "ines@example.com"),
        ("ines.@example.com", "bad_local_part", ""),
        ("ines\u200b@example.com", "control_character", "ines@example.com"),
        ("käthe@x.example", "non_ascii_local_part", ""),
        ('"a b"@x.example', "quoted_or_literal", ""),
        ("a@[127.0.0.1]", "quoted_or_literal", ""),
        ("m.brandt@gmial.com", "typo_domain", "m.brandt@gmail.com"),
        ("abuse@reader.example", "role", ""),
        ("NoReply@reader.example", "role", ""),
        ("x" * 65 + "@reader.example", "too_long", ""),
    ],
)
def test_addresses_that_are_not_taken(cell, reason, suggestion):
    row = take(cell, "2025-06-01", "GB")
    assert isinstance(row, Refused)
    assert (row.line, row.reason, row.suggestion) == (7, reason, suggestion)


def test_shared_mailboxes_need_an_express_yes():
    assert isinstance(take("info@reader.example", "2025-06-01"), Taken)
    row = take("info@reader.example", "2025-06-01", claim=Claim(basis=CUSTOMERS))
    assert (row.reason) == "role"


@pytest.mark.parametrize(
    ("cell", "reason", "suggestion"),
    [
        ("", "date_missing", "2025-03-01"),
        ("soon", "date_unreadable", ""),
        ("31.02.2025", "date_unreadable", ""),
        ("1970-01-01", "date_unreadable", ""),
        ("2062-03-01", "date_future", "2026-03-01"),
        ("2099-03-01", "date_future", ""),
    ],
)
def test_dates_that_are_not_taken(cell, reason, suggestion):
    row = take("ada@reader.example", cell)
    assert (row.reason, row.suggestion) == (reason, suggestion)


def test_a_wrong_confirmation_is_its_own_problem():
    plan = Plan({0: "email", 1: "consent_at", 2: "confirmed_at"}, ["e", "d", "c"])
    for cell in ("soon", "2099-01-01"):
        row = take("ada@reader.example", "2025-06-01", cell, plan=plan)
        assert (row.value, row.reason) == ("ada@reader.example", "confirmed_wrong")


def test_no_date_column_counts_as_the_oldest_declared():
    row = take("ada@reader.example", plan=Plan({0: "email"}, ["e"]))
    assert row.consent_at == CLAIM.earliest


def test_today_in_the_east_is_no_future():
    assert take("ada@reader.example", "2026-11-24").consent_at == NOW


@pytest.mark.parametrize("problem", ["nul", "undecodable"])
def test_unreadable_rows_say_so(problem):
    assert take("ada@reader.example", "2025-06-01", problem=problem).reason == problem


def test_confirmation_makes_the_strongest_basis():
    plan = Plan({0: "email", 1: "consent_at", 2: "confirmed_at"}, ["e", "d", "c"])
    row = take("ada@reader.example", "2025-06-01", "2025-06-02 10:00", plan=plan)
    assert (row.basis, row.confirmed_at) == ("express_doi", datetime(2025, 6, 2, 10, tzinfo=UTC))
    assert take("ada@reader.example", "2025-06-01", "", plan=plan).basis == "express_soi"


@pytest.mark.parametrize(
    ("country", "basis"),
    [("FR", "soft_optin_eu"), ("GB", "soft_optin_eu"), ("CA", "casl_ebr_purchase"), ("US", "us_customer"),
     ("AU", "au_inferred"), ("BR", "")],
)  # fmt: skip
def test_customers_are_recorded_as_what_they_are(country, basis):
    assert take("ada@reader.example", "2025-06-01", country, claim=Claim(basis=CUSTOMERS)).basis == basis


def test_formulas_are_kept_as_written():
    assert json.loads(take("ada@reader.example", "2025-06-01", "", "", "=1+1").fields) == {"Plan": "=1+1"}


def test_every_reason_of_the_parser_has_words():
    reasons = {"empty", "control_character", "not_one_address", "no_at_sign", "quoted_or_literal",
               "non_ascii_local_part", "too_long", "bad_local_part", "bad_domain"}  # fmt: skip
    assert reasons <= set(PROBLEMS)


@pytest.mark.parametrize(
    ("text", "order", "expected"),
    [
        ("2025-12-31", "dmy", (2025, 12, 31, 0, 0)),
        ("2025/1/2", "dmy", (2025, 1, 2, 0, 0)),
        ("03/04/2025", "dmy", (2025, 4, 3, 0, 0)),
        ("03/04/2025", "mdy", (2025, 3, 4, 0, 0)),
        ("13/04/2025", "mdy", (2025, 4, 13, 0, 0)),
        ("04/13/2025", "dmy", (2025, 4, 13, 0, 0)),
        ("3.4.25", "dmy", (2025, 4, 3, 0, 0)),
        ("3 Nov 2025", "dmy", (2025, 11, 3, 0, 0)),
        ("Nov 3, 2025", "dmy", (2025, 11, 3, 0, 0)),
        ("3. März 2025", "dmy", (2025, 3, 3, 0, 0)),
        ("2025-12-31T10:20:30Z", "dmy", (2025, 12, 31, 10, 20)),
        ("2025-12-31 10:20:30.123456+02:00", "dmy", (2025, 12, 31, 8, 20)),
        ("12/31/2025 11:05 PM", "dmy", (2025, 12, 31, 23, 5)),
        ("1735689600", "dmy", (2025, 1, 1, 0, 0)),
        ("1735689600000", "dmy", (2025, 1, 1, 0, 0)),
    ],
)
def test_dates(text, order, expected):
    found = dates.parse(text, order)
    assert (found.year, found.month, found.day, found.hour, found.minute) == expected
    assert found.tzinfo is UTC


@pytest.mark.parametrize("text", ["", "yes", "2025", "32.01.2025", "2025-13-01", "2025-12-31 25:00", "2025-12-31x"])
def test_no_dates(text):
    assert dates.parse(text) is None


def test_order_of_dates_is_proven_or_asked():
    assert dates.propose_order(["01/02/2025", "25/02/2025"]) == "dmy"
    assert dates.propose_order(["01/02/2025", "02/25/2025"]) == "mdy"
    assert dates.propose_order(["01/02/2025", "", "2025-01-30"]) is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (["E-Mail", "Vorname", "Nachname", "Land", "Anmeldedatum"],
         {0: "email", 1: "first_name", 2: "last_name", 3: "country", 4: "consent_at"}),
        (["id", "Email Address", "First Name", "Opt-in date", "Confirmed at"],
         {1: "email", 2: "first_name", 3: "consent_at", 4: "confirmed_at"}),
        (["courriel", "prénom", "nom", "pays", "colour"],
         {0: "email", 1: "first_name", 2: "last_name", 3: "country"}),
    ],
)  # fmt: skip
def test_columns_by_name(header, expected):
    assert columns.propose(header, []).targets == expected


def test_columns_by_content():
    sample = [["1", "ada@reader.example", "x"], ["2", "ben@reader.example", "y@z"]]
    assert columns.propose(["a", "b", "c"], sample).targets == {1: "email"}


def test_a_title_above_the_names_is_no_name():
    person = ["ada@reader.example", "Ada", "GB"]
    assert columns.head_of([["Our members", "", ""], ["email", "name", "land"], person]).rows == 2
    assert columns.head_of([["Our members", "", ""], person, person]) == columns.Head(1, ["", "", ""])


def test_an_upload_of_before_titles_keeps_its_first_person():
    assert columns._head_kept({"has_header": False}) == 0
    assert columns._head_kept({"has_header": True}) == 1


def test_header_or_none():
    assert columns.head_of([["email", "name"]]) == columns.Head(1, ["email", "name"])
    assert columns.head_of([["ada@reader.example", "Ada"]]) == columns.Head(0, ["", ""])
    assert columns.head_of([["foo"], ["foo"], ["bar"]]) == columns.Head(0, [""])
    assert columns.clean_header(["", "Name", "Name", "x" * 500]) == ["Column 1", "Name", "Name (3)", "x" * 60]


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", " =1", "＝1", "|calc", "%x", "'=1", "a,=1", "a;@x", "a\n+1"]
)
def test_export_defuses(cell):
    text = export.safe(cell)
    assert not text.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "＝", "|", "%"))
    for mark in ",;\n":
        assert f"{mark}=" not in text
        assert f"{mark}@" not in text
        assert f"{mark}+" not in text


def test_export_leaves_plain_text_alone():
    assert export.safe("Zoë O'Neill, Ltd") == "Zoë O'Neill, Ltd"


def rows(name):
    with (CORPUS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


# Where our policy differs from the corpus on purpose (docs/lists-and-consent.md): no bare top-level domain, and
# blanks around an address are cut.
STRICTER = {"test@io"}
LAXER = {" test@iana.org"}


@pytest.mark.parametrize("row", rows("syntax.tsv"), ids=lambda row: row["id"])
def test_address_syntax_corpus(row):
    """What the corpus calls an error or odd is refused; what it calls plainly valid is taken."""
    text = json.loads(row["address_json"])
    taken = isinstance(parse(text), Address)
    if row["expected_category"] in ("ISEMAIL_ERR", "ISEMAIL_CFWS", "ISEMAIL_DEPREC", "ISEMAIL_RFC5322"):
        assert taken is (text in LAXER)
    if row["expected_category"] in ("ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN"):
        assert taken is (text not in STRICTER)
    if row["expected_category"] == "ISEMAIL_RFC5321":  # quoted, literal, or a top-level domain alone
        assert not taken


@pytest.mark.parametrize("row", rows("mailbox.tsv"), ids=lambda row: row["address_json"][:30])
def test_mailbox_corpus(row):
    """Nothing invalid is taken; of the valid ones only quoted, commented, foreign and single-label forms are not."""
    text = json.loads(row["address_json"])
    found = parse(text)
    if row["expected"] == "invalid":
        assert isinstance(found, BadAddress)
    elif isinstance(found, BadAddress):
        assert found.reason in ("not_one_address", "quoted_or_literal", "bad_domain", "non_ascii_local_part")
        assert (found.reason == "quoted_or_literal") is bool(re.search(r'^"|[(]', text))
        assert found.reason != "bad_domain" or not re.search(r"@.+\.[a-z]{2,}$", text)
