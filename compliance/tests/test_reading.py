"""Bytes to rows: corpora that others wrote, and files made to hurt."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path

import pytest

from compliance.errors import FileRefusedError
from compliance.imports import reading
from compliance.imports.reading import Dialect, Row

CORPUS = Path(__file__).parent / "corpus"
PLAIN = Dialect("utf-8", ",")


def rows_of(tmp_path, data, dialect=PLAIN):
    path = tmp_path / "file"
    path.write_bytes(data)
    return list(reading.rows(path, dialect))


@pytest.mark.parametrize("path", sorted((CORPUS / "spectrum").glob("*.csv")), ids=lambda path: path.stem)
def test_spectrum_exactly(path):
    found = [row.cells for row in reading.rows(path, reading.propose(path))]
    records = [dict(zip(found[0], cells, strict=True)) for cells in found[1:]]
    assert records == json.loads(path.with_suffix(".json").read_text())


@pytest.mark.parametrize(
    ("name", "encoding", "delimiter", "count", "columns"),
    [
        ("complex.csv", "utf-8", ",", 4, 4),
        ("example.tsv", "utf-8", "\t", 141, 17),
        ("simple.ssv", "utf-8", ";", 7, 3),
        ("simple.psv", "utf-8", "|", 29, 6),
        ("utf-16le_encoded.csv", "utf-16-le", ",", 328, 19),
        ("utf8bom.csv", "utf-8", ",", 1, 2),
        ("characters.csv", "big5", ",", 383, 18),
        ("long.csv", "utf-8", ",", 4000, 1),
    ],
)
def test_messy_files(name, encoding, delimiter, count, columns):
    dialect = reading.propose(CORPUS / "messy" / name)
    found = list(reading.rows(CORPUS / "messy" / name, dialect))
    assert (dialect.encoding, dialect.delimiter, len(found)) == (encoding, delimiter, count)
    assert len(found[0].cells) == columns
    assert {row.problem for row in found} == {""}


def test_mark_is_no_part_of_the_header():
    assert next(reading.rows(CORPUS / "messy" / "utf8bom.csv", PLAIN)).cells == ["kitten", "win"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_line_ends(tmp_path, end):
    found = rows_of(tmp_path, end.join([b"a,b", b"1,2", b"", b"3,4"]))
    assert found == [Row(1, ["a", "b"]), Row(2, ["1", "2"]), Row(4, ["3", "4"])]


def test_line_ends_at_the_edge_of_a_block(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK", 4)
    data = b"a,b\r\n1,2\r\n\xc3\xbc,y\r\n"
    assert [row.cells for row in rows_of(tmp_path, data)] == [["a", "b"], ["1", "2"], ["ü", "y"]]
    assert [row.cells for row in rows_of(tmp_path, b"a,b\r1,2\r3,4\r")] == [["a", "b"], ["1", "2"], ["3", "4"]]


def test_lines_in_quotes_keep_the_number_of_their_first(tmp_path):
    found = rows_of(tmp_path, b'a,b\n"one\ntwo",x\n1,2\n')
    assert [(row.line, row.cells) for row in found] == [(1, ["a", "b"]), (2, ["one\ntwo", "x"]), (4, ["1", "2"])]


def test_mixed_encodings_row_by_row(tmp_path):
    data = "Zoë\n".encode() + "Zoë\n".encode("cp1252") + b"\x81\x8d\n" + b"plain\n"
    found = rows_of(tmp_path, data)
    assert [row.cells[0] for row in found[:2]] == ["Zoë", "Zoë"]
    assert [(row.line, row.problem) for row in found] == [(1, ""), (2, ""), (3, "undecodable"), (4, "")]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Name,Ort\nGröße,Köln\nJürgen,Österreich\n" * 20, "cp1252"),
        ("Имя,Город\nИван,Москва\nОльга,Новосибирск\n" * 20, "cp1251"),
        ("Jméno,Město\nJiří,Brno\n", "cp1250"),
        ("名前,町\n山田太郎,東京都\n鈴木花子,大阪府\n" * 20, "shift_jis"),
    ],
)
def test_encoding_is_proposed(text, encoding):
    assert reading.propose_encoding(text.encode(encoding)) == encoding


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_encodings(tmp_path, encoding):
    path = tmp_path / "file"
    path.write_bytes("email,name\nada@reader.example,Zoë\n".encode(encoding))
    dialect = reading.propose(path)
    if encoding != "utf-16-be":
        assert dialect.delimiter == ","
    assert [row.cells for row in reading.rows(path, dialect)][1] == ["ada@reader.example", "Zoë"]


def test_nul_is_a_problem_of_its_row(tmp_path):
    found = rows_of(tmp_path, b"a,b\n1,\x002\n3,4\n")
    assert [(row.line, row.problem) for row in found] == [(1, ""), (2, "nul"), (3, "")]
    assert "\x00" not in found[1].cells[1]


def test_quotation_mark_left_open_names_its_row(tmp_path):
    with pytest.raises(FileRefusedError) as refusal:
        rows_of(tmp_path, b'a,b\n1,2\n"open,3\n4,5\n')
    assert refusal.value.line == 3


def test_quotation_mark_left_open_stops_early(tmp_path):
    with pytest.raises(FileRefusedError) as refusal:
        rows_of(tmp_path, b'a,b\n"open,3\n' + b"4,5\n" * 1_000_000)
    assert refusal.value.line == 2


def test_inch_marks_are_no_quotation(tmp_path):
    assert [row.cells for row in rows_of(tmp_path, b'a,b\n5" pipe,x\n1,2\n')][1:] == [['5" pipe', "x"], ["1", "2"]]


def test_one_endless_line_is_refused_in_bounded_memory(tmp_path):
    path = tmp_path / "endless"
    with path.open("wb") as file:
        file.truncate(1024**3)  # a sparse gigabyte without a line end
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.monotonic()
    with pytest.raises(FileRefusedError) as refusal:
        list(reading.rows(path, PLAIN))
    assert refusal.value.line == 1
    assert time.monotonic() - begun < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KB


def test_a_million_columns_are_refused_at_once(tmp_path):
    begun = time.monotonic()
    with pytest.raises(FileRefusedError) as refusal:
        rows_of(tmp_path, b",".join([b"x"] * 400_000) + b"\n1\n")
    assert "200 columns" in str(refusal.value)
    with pytest.raises(FileRefusedError):
        rows_of(tmp_path, b",".join([b"x"] * 1_000_000) + b"\n1\n")
    assert time.monotonic() - begun < 2


def test_a_giant_cell_is_refused(tmp_path):
    with pytest.raises(FileRefusedError) as refusal:
        rows_of(tmp_path, b"a\nok\n" + b"x" * 70_000 + b"\n")
    assert refusal.value.line == 3


def test_more_rows_than_the_cap(tmp_path, monkeypatch):
    """So many rows below the head are taken, as when lines are counted at the upload; one more is refused."""
    monkeypatch.setattr(reading, "UPLOAD_ROWS", 3)
    assert len(rows_of(tmp_path, b"a\n1\n2\n3\n")) == 4
    with pytest.raises(FileRefusedError):
        rows_of(tmp_path, b"a\n1\n2\n3\n4\n")
    assert len(rows_of(tmp_path, b"a\n1\n\n\n2\n")) == 3
