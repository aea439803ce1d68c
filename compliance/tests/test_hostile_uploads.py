"""The table of hostile uploads, row by row, with the bounds of memory and time that it names.

| Input | Test |
| --- | --- |
| formulas | test_formulas_* |
| NUL bytes | test_nul_is_a_row_not_an_error |
| endless line, no line end, open quotation mark | test_two_gigabytes_* |
| a million columns, ten million rows, odd headers | test_a_million_*, test_ten_million_rows_*, test_odd_headers_* |
| encodings | test_each_encoding_*; test_reading.py, test_check_list.py |
| delimiters, quotation marks, line ends | test_check_list.py::test_spectrum_is_exact, test_reading.py::test_line_ends |
| archives | test_archives_*, test_a_bomb_* |
| workbooks | test_a_workbook_* |
| a name that lies | test_what_is_not_a_list_is_seen_by_its_content, test_nothing_serves_an_upload |
| line ends in an address, several, routes, comments | test_no_second_address_gets_through |
| quoted, literal, too long, trailing dot | test_rows.py, test_check_list.py (both corpora) |
| other scripts, hidden signs | test_one_domain_one_key, test_hidden_signs_* |
| letters of any case, tags, dots | test_a_refusal_holds_for_any_case_and_folds_no_two_people |
| no statement, forged field, same file again | test_without_a_statement_*, test_the_same_*; test_hostile_pages.py |
"""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import stat
import subprocess
import sys
import time
import zipfile
import zlib

import pytest
from django.conf import settings as django_settings
from django.urls import NoReverseMatch, reverse

from compliance import suppression
from compliance.errors import FileRefusedError
from compliance.imports import dry_run, export, files, fixes, run
from compliance.models import Contact, ImportRow, ImportState, ListMembership
from compliance.tests.helpers import csv_of, finished, mapped, people, signed
from sendserver.lib.addresses import Address, AddressKey, parse

GIB = 1024**3
NAMED = {"targets": {"0": "email", "1": "consent_at", "2": "first_name"}, "date_order": "dmy", "head": 1}
WORKBOOK = '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="People" sheetId="1" r:id="rId1"/></sheets></workbook>'  # noqa: E501
RELATIONS = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings" Target="sharedStrings.xml"/></Relationships>'  # noqa: E501
ROOT = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>'  # noqa: E501
SHEET = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>'
)


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"


# Says at its end how much memory it ever held; the kernel's own count for a child begins with its parent's.
_APART = """
import atexit, re, runpy, sys
atexit.register(lambda: sys.stderr.write(re.search(r"VmHWM:.*", open("/proc/self/status").read())[0] + "\\n"))
sys.argv = ["manage.py", "check_list", sys.argv[1], "--json"]
runpy.run_path("manage.py", run_name="__main__")
"""


def apart(path, **environ):
    """Check a file in a process of its own; return its answer, peak MiB and seconds of processor time, start included.

    (Not of the clock: a busy machine is no fault of what is tested.)
    """
    environ = {"PATH": os.environ["PATH"], "TMPDIR": str(path.parent), **environ}
    begun = _used()
    command = [sys.executable, "-c", _APART, str(path)]
    done = subprocess.run(command, cwd=django_settings.BASE_DIR, env=environ, capture_output=True, check=False)
    mib = int(done.stderr.split()[-2]) / 1024
    return json.loads(done.stdout), mib, _used() - begun


def _used():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def sentence(found):
    assert found["rejected"] == {"file_refused": 1}
    return found["rejects"][0]["value"]


def book(parts, *, sheet=None):
    """Return a workbook with these further parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_rels/.rels", ROOT)
        archive.writestr("xl/workbook.xml", WORKBOOK)
        archive.writestr("xl/_rels/workbook.xml.rels", RELATIONS)
        if sheet is not None:
            archive.writestr("xl/worksheets/sheet1.xml", SHEET.format(sheet))
        for name, data in parts.items():
            archive.writestr(name, data)
    return out.getvalue()


def text_cell(place, text):
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


# Formulas
FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1+1", "  =1", "a;=1+1", 'x",=1']


def test_formulas_are_stored_as_written_and_leave_defused(larkfield, alice, client):
    out = io.StringIO()
    rows = [(f"p{number}@reader.example", "2026-10-01", text) for number, text in enumerate(FORMULAS)]
    bad = [(f"p{number}.example", "2026-10-01", text) for number, text in enumerate(FORMULAS)]
    csv.writer(out).writerows([("email", "signed up", "first"), *rows, *bad])
    job = finished(larkfield, alice.user, out.getvalue().encode(), plan=NAMED, answers={})
    stored = list(Contact.objects.order_by("pk").values_list("first_name", flat=True))
    assert sorted(stored) == sorted(text.strip(" \t\r\n") for text in FORMULAS)
    answer = alice.client.get(reverse("import_rows_csv", args=[job.uid]))
    text = b"".join(answer.streaming_content).decode().lstrip("\ufeff")
    for mark in (",", ";", "\t"):  # also where a spreadsheet splits at another sign
        for row in csv.reader(io.StringIO(text), delimiter=mark):
            for cell in row:
                assert not cell.lstrip(' "').startswith(("=", "+", "-", "@", "＝")), cell
    assert len(list(csv.reader(io.StringIO(text)))) == 1 + len(FORMULAS)


def test_formulas_in_every_export_go_through_one_function():
    assert [cell[:1] for cell in FORMULAS if export.safe(cell) == cell] == []


# NUL
def test_nul_is_a_row_not_an_error(larkfield, alice):
    data = csv_of(people(3)) + b"x\x00y@reader.example,2026-10-01,GB\np9@reader.example,2026-10-01,G\x00B\n"
    job = finished(larkfield, alice.user, data)
    assert (job.added_count, job.rejected_count) == (3, 2)
    assert set(ImportRow.objects.values_list("reason", flat=True)) == {"nul"}
    assert alice.client.get(reverse("import_detail", args=[job.uid])).status_code == 200


# Two gigabytes that are no rows
@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"email\n" + b"a" * 70_000, "longer than 1,024 KB"),  # one line of 2 GB
        (b"a" * 70_000, "longer than 1,024 KB"),  # no line end at all
        (b'email\nx@reader.example\n"' + b"a,b\n" * 20_000, "quotation mark"),  # open to the end
    ],
)
def test_two_gigabytes_that_are_no_rows_stay_small(tmp_path, head, words):
    path = tmp_path / "list.csv"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(2 * GIB)
    found, mib, seconds = apart(path, MAX_UPLOAD_BYTES=str(4 * GIB))
    assert words in sentence(found)
    assert mib < 200
    assert seconds < 20  # counting the lines of 2 GB included


@pytest.mark.slow
def test_a_quotation_mark_open_to_the_end_of_half_a_gigabyte_of_rows(tmp_path):
    """Real letters, the largest file that is taken."""
    path = tmp_path / "list.csv"
    with path.open("wb") as file:
        file.write(b'email,name\n"')
        block = b"x" * 119 + b"\n"
        for _ in range(4096):
            file.write(block * 1024)
    assert path.stat().st_size > 0.45 * GIB
    found, mib, seconds = apart(path)
    assert "quotation mark" in sentence(found)
    assert mib < 200
    assert seconds < 20


# Too much of everything
def test_a_million_columns_are_refused_at_once(tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(b",".join([b"x"] * 500_000) + b"\n")
    begun = time.monotonic()
    assert "200 columns" in dry_run.check(path).refused
    path.write_bytes(b",".join([b"x"] * 1_000_000) + b"\n")
    assert dry_run.check(path).refused
    assert time.monotonic() - begun < 2


def test_ten_million_rows_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(b"email\n" + b"a@b.example\n" * 10_000_000)
    begun = time.monotonic()
    assert "more than 5,000,000 lines" in dry_run.check(path).refused
    assert time.monotonic() - begun < 2


def test_odd_headers_get_names(tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(b"email,,Name,Name," + b"x" * 500 + b"\nada@reader.example,1,2,3,4\n")
    result = dry_run.check(path)
    assert result.header == ["email", "Column 2", "Name", "Name (4)", "x" * 60]
    assert result.accepted == 1


# Encodings
@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-8", "Zoë Łukasz 山田"), ("utf-8-sig", "Zoë Łukasz 山田"), ("utf-16", "Zoë Łukasz 山田"),
        ("utf-16-le", "Zoë Müller"), ("utf-16-be", "Zoë Müller"), ("latin-1", "Zoë Müller"), ("cp1252", "Zoë €"),
        ("shift_jis", "山田太郎 鈴木花子"),
    ],
)  # fmt: skip
def test_each_encoding_brings_the_name_home(larkfield, alice, encoding, name):
    rows = [(f"person{number}@reader.example", "2026-10-01", name) for number in range(30)]
    data = "\n".join(",".join(row) for row in [("email", "signed up", "first"), *rows]).encode(encoding)
    finished(larkfield, alice.user, data, plan=NAMED)
    assert set(Contact.objects.values_list("first_name", flat=True)) == {name}


# Archives
def zipped(names, *, link=False):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16 if link else 0
            archive.writestr(info, b"/etc/passwd" if link else b"email\n")
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        zipped(["list.csv"]),
        zipped(["../../etc/cron.d/x", "..\\..\\x"]),
        zipped(["list.csv"], link=True),
        zlib.compress(b"x" * 999),
    ],
)
def test_archives_are_not_unpacked(tmp_path, data):
    with pytest.raises(FileRefusedError):
        files.receive([data])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_names_that_lead_out_of_a_workbook_lead_nowhere(tmp_path):
    sheet = f'<row r="1">{text_cell("A1", "email")}</row><row r="2">{text_cell("A2", "ada@reader.example")}</row>'
    stored = files.receive([book({"../../../../out.txt": "x", "/abs.txt": "x"}, sheet=sheet)])
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [stored.name]


@pytest.mark.slow
def test_a_bomb_of_bombs_stays_small(tmp_path):
    """Ten parts of 400 MB each, packed into a few kilobytes apiece, and archives in archives."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", b"0" * 400_000_000)
    path = tmp_path / "list.csv"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("xl/workbook.xml", WORKBOOK)
        archive.writestr("inner.zip", inner.getvalue() * 10)
    for number, data in enumerate([book({"xl/worksheets/sheet1.xml": b"0" * 400_000_000}), out.getvalue()]):
        path.write_bytes(data)
        found, mib, seconds = apart(path)
        assert sentence(found)
        assert (number, mib < 200, seconds < 8) == (number, True, True)
    assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) < 10_000_000


# Workbooks
@pytest.mark.parametrize(
    "entity",
    [
        '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "http://127.0.0.1:1/x">]><a>&x;</a>',
    ],
)
def test_a_workbook_with_entities_is_refused_unread(tmp_path, entity):
    path = tmp_path / "list.xlsx"
    path.write_bytes(book({"xl/sharedStrings.xml": entity}, sheet=""))
    begun = time.monotonic()
    assert "definitions" in dry_run.check(path).refused
    assert time.monotonic() - begun < 5


def test_a_workbook_with_a_million_shared_strings_is_read_or_refused_in_time(tmp_path):
    strings = "".join(f"<si><t>p{number}@reader.example</t></si>" for number in range(1_000_000))
    shared = f'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{strings}</sst>'
    rows = "".join(f'<row r="{number}"><c r="A{number}" t="s"><v>{number}</v></c></row>' for number in range(1, 2001))
    path = tmp_path / "list.xlsx"
    path.write_bytes(book({"xl/sharedStrings.xml": shared}, sheet=rows))
    begun = time.monotonic()
    result = dry_run.check(path)
    assert time.monotonic() - begun < 5
    assert (result.accepted, result.refused) == (2000, "")


def test_a_workbook_gives_the_cached_value_of_a_formula_and_runs_no_macro(tmp_path):
    formula = '<c r="A2" t="str"><f>HYPERLINK("http://127.0.0.1:1/","x")</f><v>ada@reader.example</v></c>'
    sheet = f'<row r="1">{text_cell("A1", "email")}</row><row r="2">{formula}</row>'
    path = tmp_path / "list.xlsm"
    path.write_bytes(book({"xl/vbaProject.bin": b"\xd0\xcf\x11\xe0macro"}, sheet=sheet))
    result = dry_run.check(path)
    assert (result.accepted, result.rejects) == (1, [])


# Names that lie
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<!doctype html><script>alert(1)</script>\n", "web page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "web page"),
        (b"MZ\x90\x00\x03" + b"\x00" * 999, "program"),
        (b"GIF89a/*\x00*/=1;email\n", "picture"),  # a picture and a script at once
        (b"%PDF-1.7\nemail\na@b.example\n", "picture or document"),
    ],
)
def test_what_is_not_a_list_is_seen_by_its_content(tmp_path, data, words):
    path = tmp_path / "list.csv"
    path.write_bytes(data)
    assert words in dry_run.check(path).refused


def test_nothing_serves_an_upload(larkfield, alice):
    job = mapped(larkfield, alice.user, csv_of(people(2)))
    for place in ("", "media/", "uploads/", "static/", f"portal/imports/{job.uid}/"):
        assert alice.client.get(f"/{place}{job.stored_name}").status_code == 404
    with pytest.raises(NoReverseMatch):
        reverse("import_file", args=[job.uid])
    answer = alice.client.get(reverse("import_rows_csv", args=[job.uid]))
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer["X-Content-Type-Options"] == "nosniff"


# Addresses
@pytest.mark.parametrize(
    "text",
    [
        "a@b.example\r\nBcc: x@y.example", "a@b.example\nRCPT TO:<x@y.example>", "a@b.example,c@d.example",
        "a@b.example;c@d.example", "a@b.example c@d.example", "<a@b.example>", "<@r.example:a@b.example>",
        "a@b.example(comment)", "a(c)@b.example", "a@b.example>", "a@b.example%0d%0aBcc", "a@b.example\x0b",
        "a@b.example\u2028x", "a%c@b.example@d.example", "a!b@c@d.example", "a@b.example\x00",
    ],
)  # fmt: skip
def test_no_second_address_gets_through(tmp_path, text):
    path = tmp_path / "list.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("email", "name"), (text, "x")])
    result = dry_run.check(path)
    assert (result.rows, result.accepted) == (1, 0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("ada@ｅxample.com", "ada@example.com"),
        ("ada@bücher。example", "ada@bücher.example"),
    ],
)
def test_one_domain_one_key(one, other):
    found = parse(one), parse(other)
    assert all(isinstance(address, Address) for address in found)
    assert found[0].key == found[1].key


def test_a_look_alike_is_another_domain():
    assert parse("ada@p\u0430ypal.example").key != parse("ada@paypal.example").key


@pytest.mark.parametrize("sign", ["\u202e", "\u200b", "\u2066", "\u00ad", "\u200f", "\u2060", "\u0007"])
def test_hidden_signs_in_an_address_are_refused(tmp_path, sign):
    path = tmp_path / "list.csv"
    path.write_text(f"email,name\na{sign}da@reader.example,x\nada@rea{sign}der.example,x\n", encoding="utf-8")
    result = dry_run.check(path)
    assert (result.accepted, dict(result.rejected)) == (0, {"control_character": 2})


def test_hidden_signs_in_a_name_are_shown_and_mended_in_place(larkfield, alice):
    data = csv_of([("ada@reader.example", "2026-10-01", "A\u202eda"), ("b@reader.example", "2026-10-01", "B")],
                  "email,signed up,first")  # fmt: skip
    job = finished(larkfield, alice.user, data, plan=NAMED)
    row = ImportRow.objects.get()
    assert (row.reason, row.suggestion) == ("hidden_in_first_name", "Ada")
    fixes.use(job, row, row.suggestion, actor=alice.user)
    assert set(Contact.objects.values_list("first_name", flat=True)) == {"Ada", "B"}


def test_a_refusal_holds_for_any_case_and_folds_no_two_people(larkfield, alice):
    suppression.suppress(AddressKey("ada@reader.example"), organization=larkfield, reason="unsubscribe", source="page")
    rows = [
        (f"{local}@{host}", "2026-10-01", "GB")
        for local in ("Ada", "ADA", "a.da", "ada+news")
        for host in ("reader.example", "READER.EXAMPLE")
    ]
    job = finished(larkfield, alice.user, csv_of(rows))
    assert (job.suppressed_count, job.added_count, job.duplicate_count) == (1, 2, 5)
    assert set(Contact.objects.values_list("address_key", flat=True)) == {
        "a.da@reader.example",
        "ada+news@reader.example",
    }


# Statements
def test_without_a_statement_nothing_is_read(larkfield, alice):
    job = mapped(larkfield, alice.user, csv_of(people(3)))
    assert run.run(job) is True
    job.refresh_from_db()
    assert (job.state, job.rows_read, Contact.objects.count()) == (ImportState.MAPPED, 0, 0)


def test_the_same_file_again_is_a_statement_of_its_own_and_nobody_twice(larkfield, alice):
    first = finished(larkfield, alice.user, csv_of(people(3)))
    again = signed(larkfield, alice.user, csv_of(people(3)), contact_list=first.contact_list)
    assert run.run(again)
    again.refresh_from_db()
    assert (again.added_count, again.updated_count) == (0, 3)
    assert again.attestation_id != first.attestation_id
    assert bytes(again.file_sha256) == bytes(first.file_sha256)
    assert ListMembership.objects.count() == Contact.objects.count() == 3
