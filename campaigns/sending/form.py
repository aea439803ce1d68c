"""Bytes with gaps: what is the same in every message of a letter is put together once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from operator import itemgetter
from typing import Final

_MARK: Final = "\x00{}\x00"
_MARKED: Final = re.compile(r"\x00([a-z]+)\x00")


def mark(name: str) -> str:
    """Return what stands for the value `name` in a text that is to become a form."""
    return _MARK.format(name)


@dataclass(frozen=True)
class Form:
    """Literals at even places, gaps at odd ones; a value may fill several gaps, or none."""

    pieces: tuple[bytes, ...]
    gaps: tuple[int, ...]  # which value, by its place among the names

    @classmethod
    def of(cls, marked: str, names: Sequence[str]) -> Form:
        """Cut `marked`, in which `mark(name)` stands for each value; the text between is ASCII."""
        parts = _MARKED.split(marked)
        pieces = [piece for literal in parts[::2] for piece in (literal.encode("ascii"), b"")]
        return cls(tuple(pieces[:-1]), tuple(map(list(names).index, parts[1::2])))

    @cached_property
    def _literals(self) -> list[Iterator[bytes]]:
        return [repeat(piece) for piece in self.pieces]

    @cached_property
    def _pick(self) -> Callable[[Sequence[bytes]], Sequence[bytes]]:
        gaps = self.gaps
        return itemgetter(*gaps) if len(gaps) > 1 else lambda values: [values[gap] for gap in gaps]

    def fill(self, *values: bytes) -> bytes:
        """Return the bytes with the values put in, in the order of the names."""
        pieces = list(self.pieces)
        pieces[1::2] = self._pick(values)
        return b"".join(pieces)

    def columns(self, *columns: Sequence[bytes]) -> list[bytes]:
        """Return the bytes of several: `columns` hold each one's value, in the order of the names."""
        parts: list[Iterable[bytes]] = list(self._literals)
        parts[1::2] = [columns[gap] for gap in self.gaps]
        return [b"".join(row) for row, _ in zip(zip(*parts, strict=False), columns[0], strict=False)]
