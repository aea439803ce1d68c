"""`manage.py check_list`: the importer's dry run over files that others wrote, and what it prints."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from compliance.imports import dry_run, reading, receive

CORPUS = Path(__file__).parent / "corpus"
KEYS = ["encoding", "delimiter", "header", "rows", "accepted", "rejected", "duplicates", "rejects"]
PAGE, OLD, NO_BOOK = "web page", "old or password-protected", "not an Excel workbook"
# What each file holds: rows below its names, addresses that are taken; counted by hand or from the set's own tests.
MESSY = {
    "211.csv": (2132, 431),
    "characters.csv": (382, 0),
    "complex.csv": (3, 0),
    "example.tsv": (140, 0),
    "excel_pasting.csv": (16, 0),
    "expected.tsv": (16, 0),
    "large.xlsx": (29, 0),
    "long.csv": (4000, 0),
    "simple.psv": (28, 0),
    "simple.ssv": (6, 0),
    "simple.xlsx": (6, 0),
    "sparse_with_column_errors.csv": (2200, 0),
    "utf-16le_encoded.csv": (327, 0),
    "utf8bom.csv": (0, 0),
    "weird_head_padding.csv": (76, 0),
}
REFUSED = {
    "badcolspan.html": PAGE,
    "complex.html": PAGE,
    "encrypted_no_password.xls": OLD,
    "excel_properties.xls": OLD,
    "html.html": PAGE,
    "invisible_text.html": PAGE,
    "libreoffice.xlsx": "no rows",
    "loffice-4.4.1.2.ods": NO_BOOK,
    "rowcolspan.html": PAGE,
    "simple.ods": NO_BOOK,
    "simple.xls": OLD,
    "simple.zip": NO_BOOK,
}


def written(tmp_path, rows, header=("id", "email")):
    path = tmp_path / "list.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_every_file_of_the_set_is_named():
    assert {path.name for path in (CORPUS / "messy").iterdir()} == set(MESSY) | set(REFUSED)


@pytest.mark.parametrize("name", MESSY)
def test_messy_files_have_the_right_rows(name):
    result = dry_run.check(CORPUS / "messy" / name)
    assert (result.rows, result.accepted) == MESSY[name]
    assert result.accepted + result.duplicates + result.rejected.total() == result.rows
    assert not result.refused


@pytest.mark.parametrize("name", REFUSED)
def test_messy_files_that_are_no_list_say_so(name):
    result = dry_run.check(CORPUS / "messy" / name)
    assert REFUSED[name] in result.refused
    assert (result.rows, result.accepted, dict(result.rejected)) == (0, 0, {"file_refused": 1})


@pytest.mark.parametrize(
    ("name", "row", "text"),
    [
        ("characters.csv", 0, "景點編號"),
        ("sparse_with_column_errors.csv", 1, "Trägerorganisationen"),
        ("weird_head_padding.csv", 8, "Gefäßchirurgie"),
        ("utf-16le_encoded.csv", 0, "Organisation_code"),
    ],
)
def test_letters_come_out_right(name, row, text):
    path = CORPUS / "messy" / name
    found = next(islice(reading.rows(path, receive.dialect_of(path, "csv")), row, None))
    assert any(text in cell for cell in found.cells)


@pytest.mark.parametrize("path", sorted((CORPUS / "spectrum").glob("*.csv")), ids=lambda path: path.stem)
def test_spectrum_is_exact(path):
    records = json.loads(path.with_suffix(".json").read_text())
    result = dry_run.check(path)
    assert (result.encoding, result.delimiter) == ("utf-8", ",")
    assert (result.header, result.rows) == (list(records[0]), len(records))
    assert [row["value"] for row in result.rejects] == [next(iter(record.values())) for record in records]


def corpus_rows(name):
    with (CORPUS / "addresses" / name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [(json.loads(row["address_json"]), row.get("expected_category") or row["expected"]) for row in rows]


@pytest.mark.parametrize("name", ["syntax.tsv", "mailbox.tsv"])
def test_no_address_marked_as_an_error_gets_through_a_file(tmp_path, name):
    """Line ends, NUL and quotation marks of the cell itself included, as a CSV file carries them."""
    wrong = [text for text, kind in corpus_rows(name) if kind in ("ISEMAIL_ERR", "invalid")]
    result = dry_run.check(written(tmp_path, enumerate(wrong)))
    assert (result.rows, result.accepted, result.duplicates) == (len(wrong), 0, 0)


def test_addresses_are_taken_or_refused_alike_in_a_file_and_alone(tmp_path):
    texts = list(dict.fromkeys(text for text, _ in corpus_rows("syntax.tsv") + corpus_rows("mailbox.tsv")))
    together = dry_run.check(written(tmp_path, enumerate(texts)))
    alone = [dry_run.check(written(tmp_path, [("x", text)])) for text in texts]
    assert together.accepted + together.duplicates == sum(result.accepted for result in alone) == 55
    assert sum((result.rejected for result in alone), start=type(together.rejected)()) == together.rejected


def test_prints_exactly_the_asked_keys_with_line_value_and_reason(tmp_path):
    path = written(tmp_path, [(1, "ada@reader.example"), (2, "ADA@reader.example"), (3, "nonsense"), (4, "käthe@b.de")])
    out = io.StringIO()
    call_command("check_list", path, "--json", stdout=out)
    found = json.loads(out.getvalue())
    assert list(found) == KEYS
    assert found == {
        "encoding": "utf-8",
        "delimiter": ",",
        "header": ["id", "email"],
        "rows": 4,
        "accepted": 1,
        "rejected": {"no_at_sign": 1, "non_ascii_local_part": 1},
        "duplicates": 1,
        "rejects": [
            {"line": 4, "value": "nonsense", "reason": "no_at_sign"},
            {"line": 5, "value": "käthe@b.de", "reason": "non_ascii_local_part"},
        ],
    }


def test_a_person_reads_lines(tmp_path):
    out = io.StringIO()
    call_command("check_list", written(tmp_path, [(1, "ada@reader.example"), (2, "nonsense")]), stdout=out)
    assert "2 rows: 1 taken, 0 twice in the file" in out.getvalue()
    assert "1 not taken: No @ sign" in out.getvalue()


def test_a_refused_file_is_one_sentence_and_still_one_object(tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(b'email\nada@reader.example\n"open@reader.example\n' + b"x\n" * 9)
    out = io.StringIO()
    with pytest.raises(CommandError, match="opened in row 3 is never closed"):
        call_command("check_list", path, "--json", stdout=out)
    found = json.loads(out.getvalue())
    assert list(found) == KEYS
    assert (found["rejects"][0]["line"], found["rejects"][0]["reason"]) == (3, "file_refused")


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(CommandError, match="No such file"):
        call_command("check_list", tmp_path / "none.csv")


def test_works_where_no_service_runs(tmp_path):
    """Neither keys nor a database that answers: the environment names nothing."""
    command = [sys.executable, "manage.py", "check_list", CORPUS / "messy" / "simple.psv", "--json"]
    environ = {"PATH": os.environ["PATH"], "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"}
    done = subprocess.run(command, cwd=settings.BASE_DIR, env=environ, capture_output=True, check=True)
    assert json.loads(done.stdout)["rows"] == 28
