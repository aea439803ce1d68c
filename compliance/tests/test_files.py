"""Files looked at before anybody parses them: archives, programs, pages, workbooks that bite."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from compliance.errors import FileRefusedError
from compliance.imports import files, reading, workbook

CORPUS = Path(__file__).parent / "corpus" / "messy"


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"


def book(parts, *, compression=zipfile.ZIP_DEFLATED):
    """Return an archive that has the part every workbook has, and `parts`."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        for name, data in parts.items():
            archive.writestr(name, data)
    return out.getvalue()


def refused(data):
    with pytest.raises(FileRefusedError) as refusal:
        files.receive([data])
    assert list(Path(files.settings.MEDIA_ROOT).iterdir()) == []
    return str(refusal.value)


def test_kept_under_a_random_name_for_the_portal_alone():
    data = b"email\nada@reader.example\n"
    stored = files.receive([data[:5], data[5:]])
    path = files.path_of(stored.name)
    assert path.read_bytes() == data
    assert stored.sha256 == hashlib.sha256(data).digest()
    assert (stored.size, stored.kind) == (len(data), "csv")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert files.receive([data]).name != stored.name


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (gzip.compress(b"email\n" * 99, mtime=0), "packed archive"),
        (b"7z\xbc\xaf\x27\x1c" + b"x" * 99, "packed archive"),
        (b"Rar!\x1a\x07" + b"x" * 99, "packed archive"),
        (b"MZ\x90\x00" + b"x" * 99, "program"),
        (b"\x7fELF" + b"x" * 99, "program"),
        (b"%PDF-1.7\n", "picture or document"),
        (b"\x89PNG\r\n\x1a\n", "picture or document"),
        (b"\xef\xbb\xbf \n<!DOCTYPE html><html>", "web page"),
        (b"<svg onload=alert(1)>", "web page"),
        (b"<?xml version='1.0'?>", "web page"),
        (bytes(range(256)) * 40, "not a text file"),
        (b"\x00" * 5000, "not a text file"),
    ],
)
def test_what_is_no_list(data, words):
    assert words in refused(data)


@pytest.mark.parametrize("name", ["simple.zip", "simple.ods", "simple.xls", "encrypted_no_password.xls", "html.html"])
def test_corpus_files_that_are_refused(name):
    assert refused((CORPUS / name).read_bytes())


def test_the_name_is_not_believed():
    assert "web page" in refused((CORPUS / "badcolspan.html").read_bytes())


def test_above_the_cap(settings):
    settings.MAX_UPLOAD_BYTES = 10
    assert "larger than 10 bytes" in refused(b"x" * 11)


@pytest.mark.parametrize(("name", "columns", "count"), [("simple.xlsx", 3, 7), ("large.xlsx", 11, 52)])
def test_workbooks_become_csv(name, columns, count):
    stored = files.receive([(CORPUS / name).read_bytes()])
    found = list(reading.rows(files.path_of(stored.name), reading.Dialect("utf-8", ",")))
    assert stored.kind == "xlsx"
    assert max(len(row.cells) for row in found) == columns
    assert len(found) <= count
    assert stored.sha256 == hashlib.sha256((CORPUS / name).read_bytes()).digest()


def test_workbook_dates_and_numbers_are_plain_text():
    stored = files.receive([(CORPUS / "simple.xlsx").read_bytes()])
    first = list(reading.rows(files.path_of(stored.name), reading.Dialect("utf-8", ",")))[1]
    assert first.cells == ["2011-01-01", "1", "Galway"]


def test_bomb_by_size(monkeypatch):
    monkeypatch.setattr(workbook, "XLSX_INFLATED_MB", 1)
    monkeypatch.setattr(workbook, "XLSX_RATIO", 10**9)
    assert "unpacks to far more" in refused(book({"xl/a.xml": b"0" * 700_000, "xl/b.xml": b"0" * 700_000}))


def test_bomb_by_ratio():
    assert "unpacks to far more" in refused(book({"xl/a.xml": b"0" * 3_000_000}))


def test_bomb_whose_header_lies():
    data = bytearray(book({"xl/a.xml": b"0" * 3_000_000}))
    size = (3_000_000).to_bytes(4, "little")
    assert data.count(size) == 2
    lying = bytes(data).replace(size, (100).to_bytes(4, "little"))
    assert refused(lying)


def test_too_many_parts():
    assert "unpacks to far more" in refused(book({f"xl/{n}.xml": b"x" for n in range(600)}))


@pytest.mark.parametrize("part", [b"<!DOCTYPE x [<!ENTITY a 'ha'>]>", b" " * (256 * 1024 - 4) + b"<!ENTITY a 'ha'>"])
def test_entities_are_refused(part):
    assert "definitions" in refused(book({"xl/a.xml": part}, compression=zipfile.ZIP_STORED))


def test_archive_without_a_workbook():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../etc/passwd", "x")
    assert "not an Excel workbook" in refused(out.getvalue())


def test_broken_workbook(tmp_path):
    data = (CORPUS / "simple.xlsx").read_bytes()
    assert refused(data[: len(data) // 2])
    assert refused(book({"xl/worksheets/sheet1.xml": b"<nothing/>"}))


def test_no_process_stays_behind_and_nothing_else_is_written(tmp_path, monkeypatch):
    shutil.copy(CORPUS / "simple.xlsx", tmp_path / "in.xlsx")
    workbook.to_csv(tmp_path / "in.xlsx", tmp_path / "out.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.xlsx", "out.csv"]
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600
