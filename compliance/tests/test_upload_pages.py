"""The five steps as a person walks them, and who may not."""

from __future__ import annotations

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from compliance import tasks
from compliance.models import Attestation, ContactList, ImportJob, ImportRow, ImportState, ListMembership
from compliance.tests.helpers import csv_of, finished, mapped, people, upload
from sendserver.testing.full_disk import full_disk

CONSENT = {
    "source": "checkout",
    "earliest": "2026-01",
    "latest": "2026-11",
    "page_url": "larkfield.example/checkout",
    "wording": "Yes, e-mail me planting tips.",
    "last_mailed": "",
    "country": "GB",
    "minors": "no",
    "signer_name": "Alice Larkfield",
    **{f"statement_{code}": "on" for code in ("agreed", "not_bought", "proof")},
    **{
        f"prohibited_{code}": "no"
        for code in ("bought", "rented", "swapped", "third_party", "harvested", "guessed", "employer", "directory")
    },
}


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def file_of(data, name="people.csv"):
    return SimpleUploadedFile(name, data, content_type="text/csv")


def use_factor(persona):
    """Sign the session with a second factor just now, as allauth's own page does."""
    session = persona.client.session
    session["account_authentication_methods"] = [
        *session.get("account_authentication_methods", []),
        {"method": "mfa", "type": "totp", "at": timezone.now().timestamp()},
    ]
    session.save()


def shown(persona, job):
    """Return what the check page sends along to say what was read."""
    page = persona.client.get(reverse("upload_check", args=[job.uid])).content.decode()
    return re.search(r'name="shown" value="([0-9a-f]{64})"', page)[1]


def start(persona, data, **more):
    form = {"contact_list": "new", "list_name": "Shop customers", "file": file_of(data), **more}
    return persona.client.post(reverse("upload_file"), form)


def test_the_whole_way(alice):
    answer = start(alice, csv_of([*people(3), ("broken", "2026-10-01", "GB")]))
    job = ImportJob.objects.get()
    assert answer.url == reverse("upload_consent", args=[job.uid])  # every column is known by its name
    assert (job.encoding, job.delimiter, job.header) == ("utf-8", ",", ["email", "signed up", "country"])
    assert job.columns["targets"] == {"0": "email", "1": "consent_at", "2": "country"}

    columns = reverse("upload_columns", args=[job.uid])
    page = alice.client.get(columns)
    assert page.status_code == 200
    assert b"person0@reader.example" in page.content
    targets = {"column-0": "email", "column-1": "consent_at", "column-2": "country", "date_order": "dmy"}
    answer = alice.client.post(columns, targets)
    assert answer.url == reverse("upload_consent", args=[job.uid])
    assert b"Counting" in alice.client.get(answer.url).content

    tasks.scan_import(job.pk)
    assert b"hx-get" not in alice.client.get(reverse("upload_seen", args=[job.uid])).content
    answer = alice.client.post(answer.url, CONSENT)
    assert answer.url == reverse("upload_check", args=[job.uid])
    page = alice.client.get(answer.url).content.decode()
    assert "What will happen to 4 rows" in page
    assert "I am Alice Larkfield, owner of Larkfield Garden Co." in page
    assert "Confirm with your second factor" in page

    away = alice.client.post(answer.url)
    assert away.url.startswith(reverse("second_factor"))
    assert not Attestation.objects.exists()
    use_factor(alice)
    assert "Submit list and statement" in alice.client.get(answer.url).content.decode()
    answer = alice.client.post(answer.url, {"shown": shown(alice, job)})
    assert answer.url == reverse("upload_result", args=[job.uid])
    assert b"Waiting to be read" in alice.client.get(answer.url).content

    tasks.run_import(job.pk)
    assert alice.client.get(answer.url).url == reverse("import_detail", args=[job.uid])
    page = alice.client.get(reverse("import_detail", args=[job.uid])).content.decode()
    assert "3 of 3 people can be mailed, 1 row needs a look" in page
    record = Attestation.objects.get()
    assert (record.factor, record.row_count, record.wording_version) == ("totp", 4, "ATT-EN-1.0")
    assert ListMembership.objects.filter(attestation=record).count() == 3


@pytest.mark.parametrize(
    ("data", "step"),
    [
        (b"E-mail,First name\nada@reader.example,Ada\n", "upload_consent"),
        (b"E-mail,Shoe size\nada@reader.example,39\n", "upload_columns"),  # one column is unknown
        (b"ada@reader.example,Ada\nbob@reader.example,Bob\n", "upload_columns"),  # no names at all
        (b"E-mail,Mail\nada@reader.example,x\n", "upload_columns"),  # two columns of one kind
        (b"Country,E-mail\nada@reader.example,GB\n", "upload_columns"),  # the names lie
        ("E-mail,First name\nada@reader.example,Käthe\n".encode(), "upload_columns"),  # is the encoding right?
        (b"E-mail,Signed up\nada@reader.example,03/04/2025\n", "upload_columns"),  # March or April?
        (b"E-mail,Signed up\nada@reader.example,31/04/2025\n", "upload_consent"),
        (b"E-mail,Signed up\nada@reader.example,2025-03-04\n", "upload_consent"),
    ],
)
def test_columns_are_asked_for_only_where_there_is_a_question(alice, data, step):
    answer = start(alice, data)
    assert answer.url == reverse(step, args=[ImportJob.objects.get().uid])


def test_a_wrong_file_is_refused_with_a_sentence(alice):
    page = start(alice, b"MZ\x90\x00" + b"\x00" * 99)
    assert page.status_code == 200
    assert b"This is a program, not a list" in page.content
    assert not ContactList.objects.exists()


def test_no_file_and_no_name_are_asked_for(alice):
    page = alice.client.post(reverse("upload_file"), {"contact_list": "new"})
    assert b"Give the new list a name" in page.content
    assert b"Choose file" in page.content


def test_a_file_above_the_cap_is_cut_off(alice, settings, tmp_path):
    settings.MAX_UPLOAD_BYTES = 200_000
    page = start(alice, csv_of(people(20_000)))
    assert b"larger than 200 KB" in page.content
    assert list(tmp_path.iterdir()) == []


def test_another_tenants_list_cannot_be_chosen(alice, mallory):
    start(alice, csv_of(people(1)))
    theirs = ContactList.objects.get()
    page = start(mallory, csv_of(people(1)), contact_list=str(theirs.uid))
    assert page.status_code == 200
    assert ImportJob.objects.count() == 1


def test_columns_without_an_address_are_refused(larkfield, alice):
    job = upload(larkfield, alice.user, csv_of(people(1)))
    page = alice.client.post(reverse("upload_columns", args=[job.uid]), {"column-0": "first_name"})
    assert b"Choose the column with the e-mail addresses" in page.content
    job.refresh_from_db()
    assert job.state == ImportState.UPLOADED


def test_the_last_mapping_is_remembered(larkfield, alice):
    first = upload(larkfield, alice.user, b"a,b\nada@reader.example,Ada\n")
    alice.client.post(reverse("upload_columns", args=[first.uid]), {"column-0": "email", "column-1": "first_name"})
    second = upload(larkfield, alice.user, b"a,b\nben@reader.example,Ben\n")
    page = alice.client.get(reverse("upload_columns", args=[second.uid])).content.decode()
    assert '<option value="first_name" selected>' in page


def test_reading_again_with_another_delimiter(larkfield, alice):
    job = upload(larkfield, alice.user, b"email|name\nada@reader.example|Ada\n")
    page = alice.client.post(
        reverse("upload_columns", args=[job.uid]), {"again": "yes", "encoding": "cp1252", "delimiter": ";"}
    )
    assert page.status_code == 200
    job.refresh_from_db()
    assert (job.encoding, job.delimiter, job.header) == ("cp1252", ";", ["email|name"])


def test_an_unknown_encoding_is_ignored(larkfield, alice):
    job = upload(larkfield, alice.user, csv_of(people(1)))
    alice.client.post(reverse("upload_columns", args=[job.uid]), {"again": "1", "encoding": "idna", "delimiter": ","})
    job.refresh_from_db()
    assert job.encoding == "utf-8"


@pytest.mark.parametrize(
    "answer", [{"source": "forbidden"}, {"prohibited_bought": "yes"}, {"prohibited_directory": "yes"}]
)
def test_a_bought_list_stops_kindly(larkfield, alice, answer):
    job = mapped(larkfield, alice.user, csv_of(people(2)))
    page = alice.client.post(reverse("upload_consent", args=[job.uid]), {**CONSENT, **answer})
    assert page.status_code == 200
    assert b"does not count against you" in page.content
    job.refresh_from_db()
    assert job.state == ImportState.MAPPED
    assert alice.client.get(reverse("upload_check", args=[job.uid])).status_code == 302


@pytest.mark.parametrize(
    "missing", ["source", "earliest", "wording", "signer_name", "statement_proof", "prohibited_guessed"]
)
def test_an_open_question_keeps_the_page_and_the_answers(larkfield, alice, missing):
    job = mapped(larkfield, alice.user, csv_of(people(2)))
    given = {name: value for name, value in CONSENT.items() if name != missing}
    page = alice.client.post(reverse("upload_consent", args=[job.uid]), given)
    assert page.status_code == 200
    assert b"One thing to correct" in page.content
    job.refresh_from_db()
    assert job.state == ImportState.MAPPED
    kept = alice.client.get(reverse("upload_consent", args=[job.uid])).content.decode()
    assert ("Yes, e-mail me planting tips." in kept) is (missing != "wording")


def test_save_for_later_keeps_what_is_there(larkfield, alice):
    job = mapped(larkfield, alice.user, csv_of(people(2)))
    answer = alice.client.post(reverse("upload_consent", args=[job.uid]), {"wording": "Half a sen", "later": "yes"})
    assert answer.url == reverse("lists")
    assert b"people.csv" in alice.client.get(answer.url).content
    assert b"Half a sen" in alice.client.get(reverse("upload_consent", args=[job.uid])).content


def test_changed_answers_ask_for_the_statement_again(larkfield, alice):
    job = mapped(larkfield, alice.user, csv_of(people(2)))
    alice.client.post(reverse("upload_consent", args=[job.uid]), CONSENT)
    alice.client.post(reverse("upload_consent", args=[job.uid]), {**CONSENT, "wording": ""})
    use_factor(alice)
    alice.client.post(reverse("upload_check", args=[job.uid]), {"shown": "0" * 64})
    assert not Attestation.objects.exists()


def test_submitting_twice_signs_once(larkfield, alice):
    job = mapped(larkfield, alice.user, csv_of(people(2)))
    alice.client.post(reverse("upload_consent", args=[job.uid]), CONSENT)
    use_factor(alice)
    seen = {"shown": shown(alice, job)}
    first = alice.client.post(reverse("upload_check", args=[job.uid]), seen)
    second = alice.client.post(reverse("upload_check", args=[job.uid]), seen)
    assert first.url == second.url == reverse("upload_result", args=[job.uid])
    assert Attestation.objects.count() == 1


def test_an_old_second_factor_does_not_sign(larkfield, alice, settings):
    job = mapped(larkfield, alice.user, csv_of(people(2)))
    alice.client.post(reverse("upload_consent", args=[job.uid]), CONSENT)
    use_factor(alice)
    settings.FRESH_SIGNATURE_SECONDS = -1
    answer = alice.client.post(reverse("upload_check", args=[job.uid]))
    assert answer.url.startswith(reverse("second_factor"))
    assert not Attestation.objects.exists()


def test_cancelling_deletes_the_file(larkfield, alice, tmp_path, django_capture_on_commit_callbacks):
    job = upload(larkfield, alice.user, csv_of(people(1)))
    with django_capture_on_commit_callbacks(execute=True):
        alice.client.post(reverse("upload_cancel", args=[job.uid]))
    job.refresh_from_db()
    assert job.state == ImportState.CANCELLED
    assert list(tmp_path.iterdir()) == []
    assert alice.client.get(reverse("upload_columns", args=[job.uid])).url == reverse("lists")


STEPS = ["upload_columns", "upload_consent", "upload_check", "upload_seen", "upload_result"]


@pytest.mark.parametrize("name", STEPS)
def test_steps_are_closed_to_others(larkfield, alice, eve, victor, mallory, client, name):
    job = mapped(larkfield, alice.user, csv_of(people(1)))
    url = reverse(name, args=[job.uid])
    assert client.get(url).status_code == 302
    assert mallory.client.get(url).status_code == 404
    assert eve.client.get(url).status_code == 403
    assert victor.client.get(url).status_code == 403


@pytest.mark.parametrize("name", ["upload_cancel", "import_rows"])
def test_changes_are_posted(larkfield, alice, name):
    job = mapped(larkfield, alice.user, csv_of(people(1)))
    assert alice.client.get(reverse(name, args=[job.uid])).status_code == 405


def test_result_page_lists_rows_with_their_fix(larkfield, alice):
    job = finished(larkfield, alice.user, csv_of([*people(2), ("ines.at.example.com", "2026-10-01", "GB")]))
    page = alice.client.get(reverse("import_detail", args=[job.uid])).content.decode()
    assert "2 of 2 people can be mailed, 1 row needs a look" in page
    assert "No @ sign 1" in page
    assert 'value="ines@example.com"' in page


def test_row_is_fixed_in_place_and_taken_back(larkfield, alice):
    job = finished(larkfield, alice.user, csv_of([*people(2), ("ines.at.example.com", "2026-10-01", "GB")]))
    url = reverse("import_row", args=[job.uid, 4])
    part = alice.client.post(url, {"action": "use", "value": "ines@example.com"}, headers={"HX-Request": "true"})
    assert b"Added" in part.content
    assert b"<html" not in part.content
    added = ListMembership.objects.get(contact__address_key="ines@example.com")
    assert added.attestation_id == job.attestation_id
    job.refresh_from_db()
    assert (job.added_count, job.rejected_count) == (3, 0)
    alice.client.post(url, {"action": "undo"})
    job.refresh_from_db()
    assert (job.added_count, job.rejected_count) == (2, 1)
    assert not ListMembership.objects.filter(contact__address_key="ines@example.com").exists()


def test_a_wrong_fix_says_why(larkfield, alice):
    job = finished(larkfield, alice.user, csv_of([*people(2), ("ines", "2026-10-01", "GB")]))
    url = reverse("import_row", args=[job.uid, 4])
    part = alice.client.post(url, {"action": "use", "value": "ines@"}, headers={"HX-Request": "true"})
    assert b"No @ sign. An address looks like" in part.content
    assert ImportRow.objects.get().state == "open"


def test_fix_of_a_date(larkfield, alice):
    job = finished(larkfield, alice.user, csv_of([*people(1), ("ada@reader.example", "2062-03-01", "GB")]))
    alice.client.post(reverse("import_row", args=[job.uid, 3]), {"action": "use", "value": "2026-03-01"})
    kept = ListMembership.objects.get(contact__address_key="ada@reader.example")
    assert f"{kept.consent_at:%Y-%m-%d}" == "2026-03-01"


def test_fix_of_a_confirmation_leaves_the_sign_up_alone(larkfield, alice):
    plan = {"targets": {"0": "email", "1": "consent_at", "2": "confirmed_at"}, "date_order": "dmy", "has_header": True}
    rows = [("ada@reader.example", "2026-02-01", "soon"), ("ben@reader.example", "2026-02-01", "")]
    job = finished(larkfield, alice.user, csv_of(rows, "email,signed up,confirmed"), plan=plan)
    page = alice.client.get(reverse("import_detail", args=[job.uid])).content.decode()
    assert "soon. The day on which they confirmed" in page
    alice.client.post(reverse("import_row", args=[job.uid, 2]), {"action": "use", "value": "2026-02-03"})
    kept = ListMembership.objects.get(contact__address_key="ada@reader.example")
    assert (f"{kept.consent_at:%d}", f"{kept.confirmed_at:%d}", kept.basis) == ("01", "03", "express_doi")


def test_all_suggestions_and_leave_out_all(larkfield, alice):
    rows = [("a.at.example.com", "2026-10-01", "GB"), ("kim@gmial.com", "2026-10-01", "GB"), ("x", "2026-10-01", "GB")]
    job = finished(larkfield, alice.user, csv_of([*people(1), *rows]))
    alice.client.post(reverse("import_rows", args=[job.uid]), {"action": "suggestions"})
    assert ImportRow.objects.filter(state="fixed").count() == 2
    alice.client.post(reverse("import_rows", args=[job.uid]), {"action": "leave"})
    assert ImportRow.objects.filter(state="left").count() == 1
    job.refresh_from_db()
    assert (job.added_count, job.rejected_count) == (3, 1)


@pytest.mark.parametrize("action", ["use", "leave", "undo"])
def test_rows_are_closed_to_others(larkfield, alice, eve, mallory, action):
    job = finished(larkfield, alice.user, csv_of([*people(1), ("ines.at.example.com", "2026-10-01", "GB")]))
    url = reverse("import_row", args=[job.uid, 3])
    assert mallory.client.post(url, {"action": action, "value": "a@b.example"}).status_code == 404
    assert eve.client.post(url, {"action": action, "value": "a@b.example"}).status_code == 403
    assert ImportRow.objects.get().state == "open"


def test_rows_as_csv_run_nothing(larkfield, alice):
    evil = ['=cmd|"/C calc"!A0', "+1", "-1", "@SUM(1)", "＝1", " =1", "\t=1"]
    data = (
        b"email,signed up,country\n"
        + b"".join(f'"{cell.replace(chr(34), chr(34) * 2)}",2026-10-01,GB\n'.encode() for cell in evil)
        + csv_of(people(200)).split(b"\n", 1)[1]
    )
    job = finished(larkfield, alice.user, data)
    answer = alice.client.get(reverse("import_rows_csv", args=[job.uid]))
    assert "attachment" in answer["Content-Disposition"]
    import csv
    import io

    text = b"".join(answer.streaming_content).decode().lstrip("\ufeff")
    cells = [cell for row in list(csv.reader(io.StringIO(text)))[1:] for cell in row]
    assert len(cells) > len(evil)
    assert not [cell for cell in cells if cell.lstrip(" \t'\"")[:1] in "=+-@＝" and not cell.startswith("'") and cell]


def test_statement_downloads(larkfield, alice, mallory):
    job = finished(larkfield, alice.user, csv_of(people(2)))
    text = alice.client.get(reverse("import_statement", args=[job.uid])).content.decode()
    assert "1) Every person on list Readers (2 addresses" in text
    assert "Signed by Alice Larkfield, Owner" in text
    assert mallory.client.get(reverse("import_statement", args=[job.uid])).status_code == 404


@pytest.mark.parametrize("rows", [9_000, 40_000], ids=["held in memory", "above what is held in memory"])
def test_a_full_disk_refuses_the_file_in_words_and_keeps_nothing(alice, settings, tmp_path, rows):
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    data = csv_of(people(rows))
    assert (len(data) > settings.FILE_UPLOAD_MAX_MEMORY_SIZE) is (rows > 10_000)
    with full_disk(150_000):
        answer = start(alice, data)
    assert answer.status_code == 200
    assert "We have no room for this file at the moment." in answer.content.decode()
    assert not ImportJob.objects.exists()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert start(alice, data).status_code == 302
