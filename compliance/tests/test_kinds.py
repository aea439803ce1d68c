"""Further columns with a kind: read in one way or refused, mended in place, kept in one form."""

from __future__ import annotations

import pytest
from django.urls import reverse

from compliance.imports import columns, dates, fixes, kinds
from compliance.imports.words import PROBLEMS
from compliance.models import Contact, ImportRow
from compliance.tests.helpers import csv_of, finished, people, upload

PLAN = {
    "targets": {"0": "email", "1": "consent_at", "2": "field_number", "3": "field_date", "4": "field_yes_no"},
    "date_order": "dmy",
    "head": 1,
}
HEADER = "email,signed up,visits,born,member"


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("12", "12"), ("-3", "-3"), ("\u22123,5", "-3.5"), ("+7", "7"), ("007", "7"), ("0", "0"), ("1234.50", "1234.5"),
        ("1.234,56", "1234.56"), ("1,234.56", "1234.56"), ("1 234 567", "1234567"), ("1'234.5", "1234.5"),
        ("1.234.567", "1234567"), ("1,234", None), ("1.234", None), ("1.234.56", None), ("12 apples", None),
        ("1e5", None), ("--1", None), ("1,2,3", None), ("\u0663", None),
    ],
)  # fmt: skip
def test_numbers(cell, value):
    assert kinds.read(kinds.NUMBER, cell, dates.DAY_FIRST) == value


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("field_date", "31.12.1980", "1980-12-31"), ("field_date", "03/04/1980", "1980-04-03"),
        ("field_date", "soon", None), ("field_yes_no", "JA", "yes"), ("field_yes_no", "0", "no"),
        ("field_yes_no", "maybe", None), ("field", "=1+1", "=1+1"),
    ],
)  # fmt: skip
def test_dates_and_answers(kind, cell, value):
    assert kinds.read(kind, cell, dates.DAY_FIRST) == value


def test_every_reason_has_words():
    assert set(kinds.REASONS.values()) <= set(PROBLEMS)
    assert set(kinds.REASONS) | {kinds.TEXT} == set(kinds.LABELS)


def test_kept_in_one_form_and_mended_in_place(larkfield, alice):
    rows = [
        ("ada@reader.example", "2026-10-01", "1.234.567", "31.12.1980", "ja"),
        ("ben@reader.example", "2026-10-01", "1.234", "", ""),
        ("cleo@reader.example", "2026-10-01", "", "long ago", "no"),
    ]
    job = finished(larkfield, alice.user, csv_of(rows, HEADER), plan=PLAN)
    assert Contact.objects.get().fields == {"visits": "1234567", "born": "1980-12-31", "member": "yes"}
    number, date = ImportRow.objects.order_by("line")
    assert [(row.reason, fixes.cell_of(job, row)) for row in (number, date)] == [
        ("no_number", "1.234"),
        ("no_date", "long ago"),
    ]
    assert b"1,234 can be read in two ways" in alice.client.get(reverse("import_detail", args=[job.uid])).content
    fixes.use(job, number, "1234", actor=alice.user)
    assert Contact.objects.get(address_key="ben@reader.example").fields == {"visits": "1234"}


def test_the_columns_page_offers_kinds_and_takes_several_of_one(larkfield, alice):
    job = upload(larkfield, alice.user, csv_of([(*row, "1", "2") for row in people(2)], "email,signed up,country,a,b"))
    url = reverse("upload_columns", args=[job.uid])
    assert b"Keep, as a number" in alice.client.get(url).content
    chosen = {"column-0": "email", "column-1": "consent_at", "column-3": "field_number", "column-4": "field_number"}
    assert alice.client.post(url, chosen).status_code == 302
    job.refresh_from_db()
    assert job.columns["targets"]["4"] == "field_number"
    assert columns.complaints(columns.plan_of(job)) == []
