"""Excel workbooks: checked as an archive while inflating, then read by a child process with limits.

`python -m compliance.imports.workbook IN OUT` is that child: it knows no settings, no database and no network. The
reader (calamine) resolves no entities and runs no formulas; cells come as their cached values.
"""

from __future__ import annotations

import csv
import os
import resource
import subprocess
import sys
import zipfile
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final

from compliance.errors import FileRefusedError
from compliance.policy import UPLOAD_CELL_KB, UPLOAD_COLUMNS, XLSX_INFLATED_MB, XLSX_MEMBERS, XLSX_RATIO

SECONDS: Final = 60  # for reading one workbook
MEMORY: Final = 2 * 1024**3  # bytes of address space of the child
LOOKED_AT: Final = 200  # rows of a sheet in which an address is looked for
RATIO_FROM: Final = 1024 * 1024  # small parts may be squeezed as well as they like
_BOMB: Final = "This Excel file unpacks to far more than a list holds. Save the list as CSV and upload that."
_NO_BOOK: Final = "This is not an Excel workbook (.xlsx). Save the list as CSV and upload that."


def check(path: Path) -> None:
    """Raise FileRefusedError unless the archive is a plain workbook of bounded size.

    Sizes are counted while inflating: the archive's own header may say anything.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > XLSX_MEMBERS:
                raise FileRefusedError(_BOMB)
            if not any(member.filename == "xl/workbook.xml" for member in members):
                raise FileRefusedError(_NO_BOOK)
            _inflate(archive, members)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise FileRefusedError(_NO_BOOK) from error
    except zipfile.zlib.error as error:  # type: ignore[attr-defined]
        raise FileRefusedError(_NO_BOOK) from error


def _inflate(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> None:
    total = 0
    for member in members:
        size, tail = 0, b""
        with archive.open(member) as part:
            while block := part.read(256 * 1024):
                size += len(block)
                if total + size > XLSX_INFLATED_MB * 1024**2:
                    raise FileRefusedError(_BOMB)
                if size > RATIO_FROM and size > XLSX_RATIO * max(1, member.compress_size):
                    raise FileRefusedError(_BOMB)
                if b"<!DOCTYPE" in tail + block or b"<!ENTITY" in tail + block:
                    raise FileRefusedError("This Excel file holds definitions that no list needs. Save it as CSV.")
                tail = block[-16:]
        total += size


def to_csv(source: Path, target: Path) -> None:
    """Write one sheet as UTF-8 CSV: the first with an address near its top, else the first that holds anything.

    Row numbers stay those of the sheet.
    """
    command = [sys.executable, "-m", "compliance.imports.workbook", str(source), str(target)]
    root = Path(__file__).resolve().parents[2]
    try:
        done = subprocess.run(  # noqa: S603 (our own module, paths of our own making)
            command, cwd=root, env={"PATH": os.defpath}, capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise FileRefusedError("This Excel file takes too long to read. Save the list as CSV.") from error
    if done.returncode == 3:
        raise FileRefusedError(done.stdout.decode("utf-8", "replace").strip())
    if done.returncode:
        raise FileRefusedError("This Excel file cannot be read. Save the list as CSV and upload that.")


def main(source: str, target: str) -> int:
    """Read `source` and write `target`; the exit code 3 means that the printed sentence is for the customer."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    os.umask(0o077)
    from python_calamine import CalamineWorkbook

    book = CalamineWorkbook.from_path(source)
    sheets = [sheet for name in book.sheet_names if (sheet := book.get_sheet_by_name(name)).height]
    if not sheets:
        sys.stdout.write("The Excel file has no rows.")
        return 3
    sheet = next((sheet for sheet in sheets if _has_address(sheet)), sheets[0])
    if sheet.width > UPLOAD_COLUMNS:
        sys.stdout.write(f"The sheet has {sheet.width:,} columns; we read up to {UPLOAD_COLUMNS}.")
        return 3
    with open(target, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([_text(cell) for cell in row] for row in sheet.iter_rows())
    return 0


def _has_address(sheet: Any) -> bool:
    rows = islice(sheet.iter_rows(), LOOKED_AT)
    return any(isinstance(cell, str) and "@" in cell for row in rows for cell in row)


def _text(cell: object) -> str:
    """Return a cell as text on one line: whole numbers without a point, dates as ISO 8601."""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, datetime):
        midnight = cell.time() == time(0)
        return cell.date().isoformat() if midnight else cell.isoformat(" ", "seconds")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return " ".join(str(cell).splitlines())[: UPLOAD_CELL_KB * 1024]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
