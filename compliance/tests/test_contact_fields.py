"""The register of further columns: one name, one kind."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from django.urls import reverse

from compliance import contact_fields, policy
from compliance.errors import SignatureRefusedError
from compliance.imports import columns, receive, undo
from compliance.models import Contact, ContactField, ImportJob
from compliance.tests import helpers

pytestmark = pytest.mark.django_db


def plan(kind):
    """Return a choice of columns whose fourth is of a kind."""
    return helpers.COLUMNS | {"targets": helpers.COLUMNS["targets"] | {"3": kind}}


def data(name, *cells):
    """Return a file with a fourth column."""
    rows = [(*person, cell) for person, cell in zip(helpers.people(len(cells)), cells, strict=True)]
    return helpers.csv_of(rows, header=f"email,signed up,country,{name}")


def register(organization):
    """Return the register."""
    return dict(ContactField.objects.for_org(organization).values_list("name", "kind"))


def test_a_signed_upload_enters_its_columns(larkfield, hollin, alice, mallory):
    helpers.finished(larkfield, alice.user, data("Age", "3", "4"), plan=plan("field_number"))
    assert register(larkfield) == {"Age": "field_number"}
    assert register(hollin) == {}
    helpers.finished(hollin, mallory.user, data("Age", "old"), plan=plan("field"))
    assert register(hollin) == {"Age": "field"}


def test_an_upload_that_is_not_signed_holds_no_name(larkfield, alice):
    helpers.mapped(larkfield, alice.user, data("Age", "3"), plan=plan("field_number"))
    assert register(larkfield) == {}


@pytest.mark.parametrize("name", ["Age", "AGE", "age"])
def test_a_later_upload_that_contradicts_is_told_so_on_the_columns_page(larkfield, alice, name):
    helpers.finished(larkfield, alice.user, data("Age", "3"), plan=plan("field_number"))
    job = helpers.upload(larkfield, alice.user, data(name, "2026-01-01"))
    url = reverse("upload_columns", args=[job.uid])
    chosen = {"column-0": "email", "column-1": "consent_at", "column-2": "country", "date_order": "dmy"}
    page = alice.client.post(url, chosen | {"column-3": "field_date"})
    assert page.status_code == 200
    assert "“Age” is a number on your lists. Keep it as a number, or give the column another name" in (
        page.content.decode()
    )
    job.refresh_from_db()
    assert job.columns == {}
    assert alice.client.post(url, chosen | {"column-3": "field_number"}).status_code == 302


def test_the_registers_spelling_is_kept(larkfield, alice):
    helpers.finished(larkfield, alice.user, data("Favourite Plant", "fig"), plan=plan("field"))
    job = helpers.upload(larkfield, alice.user, data("favourite plant", "rose"))
    chosen = columns.Plan({0: "email", 1: "consent_at", 2: "country", 3: "field"}, list(job.header))
    assert receive.choose(job, chosen, actor=alice.user)
    job.refresh_from_db()
    assert job.columns["fields"] == {"3": "Favourite Plant"}
    helpers.finished(larkfield, alice.user, data("favourite plant", "rose"), plan=job.columns)
    assert Contact.objects.get().fields == {"Favourite Plant": "rose"}


def test_two_uploads_at_once_cannot_both_name_it(larkfield, alice):
    """Both were mapped while the name was free; the second to sign is refused."""
    helpers.mapped(larkfield, alice.user, data("Age", "3"), plan=plan("field_number"))
    helpers.signed(larkfield, alice.user, data("Age", "3"), plan=plan("field_number"))
    with pytest.raises(SignatureRefusedError, match="“Age” is a number on your lists"):
        helpers.signed(larkfield, alice.user, data("Age", "yes"), plan=plan("field_yes_no"))
    with pytest.raises(SignatureRefusedError, match="Another upload brought a column of the same name"):
        helpers.signed(larkfield, alice.user, data("AGE", "3"), plan=plan("field_number"))


def test_two_columns_of_one_name_are_refused(larkfield, alice):
    job = helpers.upload(larkfield, alice.user, helpers.csv_of([("a@b.example", "x", "y")], header="email,City,city"))
    chosen = columns.Plan({0: "email", 1: "field", 2: "field"}, list(job.header))
    assert contact_fields.contradictions(larkfield, chosen) == ["Two columns are called “city”. Keep one of them"]


def test_there_is_a_limit(larkfield, alice, monkeypatch):
    monkeypatch.setattr(policy, "FIELDS_MAX", 1)
    helpers.finished(larkfield, alice.user, data("Age", "3"), plan=plan("field_number"))
    targets = {0: "email", 3: "field_number"}
    assert contact_fields.contradictions(larkfield, columns.Plan(targets, ["e", "d", "c", "Age"])) == []
    assert "room for 1" in contact_fields.contradictions(larkfield, columns.Plan(targets, ["e", "d", "c", "New"]))[0]


def test_undo_takes_a_column_back_that_no_other_upload_has(larkfield, alice):
    first = helpers.finished(larkfield, alice.user, data("Age", "3"), plan=plan("field_number"))
    second = helpers.finished(larkfield, alice.user, data("Age", "4"), plan=plan("field_number"))
    third = helpers.finished(larkfield, alice.user, data("City", "York"), plan=plan("field"))
    assert undo.undo(first, actor=alice.user)
    assert register(larkfield) == {"Age": "field_number", "City": "field"}
    assert undo.undo(third, actor=alice.user)
    assert register(larkfield) == {"Age": "field_number"}
    assert second.pk


def test_made_text_once_and_then_taken_as_text(larkfield, alice):
    helpers.finished(larkfield, alice.user, data("Age", "3"), plan=plan("field_number"))
    age = ContactField.objects.get()
    assert contact_fields.make_text(age, actor=alice.user)
    assert not contact_fields.make_text(age, actor=alice.user)
    job = helpers.upload(larkfield, alice.user, data("Age", "3"))
    found = receive.proposal(job, receive.first_rows(receive.files.path_of(job.stored_name), receive.reading.Dialect(
        job.encoding, job.delimiter)))  # fmt: skip
    assert found.targets[3] == "field"  # remembered as a number, text by now


def test_the_migration_enters_what_uploads_brought_before(larkfield, alice):
    for kind in ("field_number", "field"):
        helpers.finished(larkfield, alice.user, data(f"Only {kind}", "2026"), plan=plan(kind))
    helpers.finished(larkfield, alice.user, data("Both", "3"), plan=plan("field_number"))
    ContactField.objects.all().delete()
    helpers.finished(larkfield, alice.user, data("both", "3"), plan=plan("field"))
    helpers.mapped(larkfield, alice.user, data("Draft", "3"), plan=plan("field"))
    ContactField.objects.all().delete()
    migration = import_module("compliance.migrations.0019_kinds_of_columns")
    with connection.schema_editor() as editor:
        migration.enter(apps, editor)
    assert register(larkfield) == {
        "Only field_number": "field_number",
        "Only field": "field",
        "Both": "field",
    }
    assert ImportJob.objects.count() == 5
