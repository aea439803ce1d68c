"""Who may be mailed: each rule by itself, and SQL and Python saying the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from compliance import consent, countries, policy
from compliance.consent import Facts, mailable_reason, mailable_sql
from compliance.models import ContactList, ListExit
from compliance.models.lists import ConsentBasis
from sendserver.lib import clock

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def reason(**more):
    facts = {"basis": "express_soi", "country": "GB", "consent_at": datetime(2026, 9, 1, tzinfo=UTC), **more}
    return mailable_reason(Facts(**facts), now=NOW)


def test_a_plain_yes_may_be_mailed():
    assert reason() == ""


@pytest.mark.parametrize("basis", sorted(set(ConsentBasis.values) - set(consent.EXPRESS)))
def test_other_bases_are_refused_by_default(basis):
    assert reason(basis=basis) == "basis_not_allowed"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"basis": ""}, "no_basis"),
        ({"has_attestation": False}, "no_attestation"),
        ({"consent_at": None}, "no_date"),
        ({"consent_at": NOW + timedelta(seconds=1)}, "no_date"),
        ({"list_held": True}, "list_held"),
        ({"list_held": True, "basis": ""}, "no_basis"),
    ],
)
def test_what_is_missing(more, expected):
    assert reason(**more) == expected


@pytest.mark.parametrize("country", ["DE", "AT", ""])
@pytest.mark.parametrize("basis", ["express_doi", "express_soi", "express_oral"])
def test_second_step_is_needed_where_the_law_is_strict(country, basis):
    yes = datetime(2026, 9, 1, tzinfo=UTC)
    assert reason(country=country, basis=basis) == "no_double_optin"
    assert reason(country=country, basis=basis, confirmed_at=yes - timedelta(days=1)) == "no_double_optin"
    assert reason(country=country, basis=basis, confirmed_at=yes + timedelta(minutes=5)) == ""


def test_a_written_yes_needs_no_second_step():
    assert reason(country="DE", basis="express_written") == ""


@pytest.mark.parametrize("country", ["GB", "FR", "US", "CA", "AU", "CH"])
def test_elsewhere_a_plain_yes_is_enough(country):
    assert reason(country=country) == ""


def test_stale_after_two_years_without_mail():
    edge = datetime(2024, 11, 23, 12, 0, tzinfo=UTC)
    assert reason(consent_at=edge) == ""
    assert reason(consent_at=edge - timedelta(seconds=1)) == "stale"
    assert reason(consent_at=LONG_AGO, last_contact_at=edge) == ""
    assert reason(consent_at=LONG_AGO, confirmed_at=edge) == ""


def test_france_counts_from_the_persons_own_last_act():
    edge = datetime(2023, 11, 23, 12, 0, tzinfo=UTC)
    assert reason(country="FR", consent_at=edge, last_contact_at=NOW) == ""
    assert reason(country="FR", consent_at=edge - timedelta(seconds=1), last_contact_at=NOW) == "stale"
    assert reason(country="GB", consent_at=edge - timedelta(seconds=1), last_contact_at=NOW) == ""


def test_an_allowed_basis_follows_its_own_rules(settings):
    settings.ALLOWED_BASES = [*settings.ALLOWED_BASES, "casl_ebr_inquiry", "us_customer"]
    begun = datetime(2026, 5, 24, 3, 0, tzinfo=UTC)  # ends 2026-11-23 10:00: midnight of 24 November less 14 hours
    assert reason(basis="casl_ebr_inquiry", country="CA", consent_at=begun) == "basis_expired"
    later = begun + timedelta(days=1)
    assert reason(basis="casl_ebr_inquiry", country="CA", consent_at=later) == ""
    assert reason(basis="casl_ebr_inquiry", country="US", consent_at=later) == "basis_wrong_country"
    assert reason(basis="casl_ebr_inquiry", country="", consent_at=later) == "basis_wrong_country"
    assert reason(basis="us_customer", country="US") == ""


@pytest.mark.parametrize(
    ("begun", "months", "expected"),
    [
        (datetime(2025, 8, 31, tzinfo=UTC), 6, datetime(2026, 2, 28, tzinfo=UTC)),
        (datetime(2023, 8, 31, tzinfo=UTC), 6, datetime(2024, 2, 29, tzinfo=UTC)),
        (datetime(2024, 2, 29, tzinfo=UTC), 24, datetime(2026, 2, 28, tzinfo=UTC)),
        (datetime(2026, 1, 15, tzinfo=UTC), -24, datetime(2024, 1, 15, tzinfo=UTC)),
    ],
)
def test_calendar_months(begun, months, expected):
    assert consent.add_months(begun, months) == expected
    if months > 0:
        assert consent.basis_end(begun, months) == expected - timedelta(hours=policy.CASL_EARLY_H)


def test_every_reason_has_words():
    assert set(consent.REASONS) | {"suppressed"} == set(consent.WORDS)
    assert all(label and meaning for label, meaning in consent.WORDS.values())


LEAVER = b"h" * 32


def sql_reason(facts, list_left):
    """Return what planning's expression says of the same facts, with the database's own now().

    `list_left` is the key of a list that LEAVER has left.
    """
    sql = f"""SELECT now(), {mailable_sql()} FROM
      (SELECT %s::text AS basis, %s::timestamptz AS consent_at, %s::timestamptz AS confirmed_at,
              %s::timestamptz AS last_contact_at, %s::bigint AS attestation_id, NULL::bigint AS signup_id,
              %s::text AS country, %s::bigint AS contact_list_id) AS m,
      (SELECT 0::bigint AS id, %s::text AS country, %s::text AS domain, %s::bytea AS address_hash) AS c,
      (SELECT %s::timestamptz AS held_at, NULL::timestamptz AS closed_at) AS l"""
    with connection.cursor() as cursor:
        values = [
            facts.basis, facts.consent_at, facts.confirmed_at, facts.last_contact_at,
            1 if facts.has_attestation else None, facts.country, list_left, "", facts.domain,
            LEAVER if facts.has_left else b"o" * 32, NOW if facts.list_held else None,
        ]  # fmt: skip
        cursor.execute(sql, values)
        return cursor.fetchone()


def _left(organization):
    """Return the key of a list that LEAVER has left for good, beside one that they took up again."""
    gone, back = (ContactList.objects.get_or_create(organization=organization, name=name)[0] for name in ("a", "b"))
    now = clock.now()
    for row, returned in ((gone, None), (back, now)):
        values = {"left_at": now, "returned_at": returned}
        ListExit.objects.get_or_create(contact_list=row, address_hash=LEAVER, defaults=values)
    return gone.pk


# Days before now; the edges of every rule and their neighbours come up often.
DAYS = st.one_of(
    st.integers(-3, 1500), st.sampled_from([181, 182, 183, 184, 185, 729, 730, 731, 732, 1094, 1095, 1096, 1097])
)


@hypothesis_settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    basis=st.sampled_from(["", "", *ConsentBasis.values, *consent.EXPRESS, *consent.EXPRESS]),
    domain=st.sampled_from(["reader.example", "gmail.com"]),
    country=st.sampled_from(["", "DE", "AT", "GB", "FR", "US", "CA", "AU", "IT", "CH"]),
    consent_days=st.none() | DAYS,
    confirmed_days=st.none() | DAYS,
    contact_days=st.none() | DAYS,
    minutes=st.integers(-1440, 1440),
    has_attestation=st.booleans() | st.just(True),
    list_held=st.booleans(),
    has_left=st.booleans(),
    everything_allowed=st.booleans(),
)
def test_sql_and_python_agree(
    larkfield, settings, everything_allowed, minutes, consent_days, confirmed_days, contact_days, **rest
):
    settings.ALLOWED_BASES = ConsentBasis.values if everything_allowed else list(consent.EXPRESS)
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        now = cursor.fetchone()[0]

    def at(days):
        return None if days is None else now - timedelta(days=days, minutes=minutes)

    facts = Facts(
        consent_at=at(consent_days), confirmed_at=at(confirmed_days), last_contact_at=at(contact_days), **rest
    )
    if facts.country == "AT" and everything_allowed:  # no register is loaded here
        facts = replace(facts, register="missing")
    same_now, found = sql_reason(facts, _left(larkfield))
    assert same_now == now
    assert found == mailable_reason(facts, now=now)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("GB", "GB"), ("uk", "GB"), ("United Kingdom", "GB"), ("Deutschland", "DE"), (" de ", "DE"), ("xx", ""),
        ("", ""), ("Narnia", ""), ("österreich", "AT"), ("U.S.", ""), ("usa", "US"),
    ],
)  # fmt: skip
def test_country_of_a_cell(text, code):
    assert countries.parse(text) == code


@pytest.mark.parametrize(
    ("domain", "declared", "code"),
    [
        ("reader.example", "", ""),
        ("reader.example", "GB", "GB"),
        ("reader.fr", "", "FR"),
        ("reader.fr", "GB", "GB"),
        ("reader.de", "GB", "DE"),
        ("reader.at", "", "AT"),
        ("reader.co.uk", "", "GB"),
        ("startup.io", "", ""),
        ("reader.tv", "US", "US"),
    ],
)
def test_country_of_a_row_without_one(domain, declared, code):
    assert countries.assumed(domain, declared) == code
