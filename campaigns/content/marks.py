"""Merge tags kept safe while HTML tools work: each tag becomes a word of letters and digits and comes back at the end.

The word holds a hash of the text it stands in, so nobody can write a text that already contains it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

TAG: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


@dataclass(frozen=True)
class Marks:
    """The words of one text and the tags behind them."""

    nonce: str
    tags: tuple[str, ...]

    @property
    def word(self) -> re.Pattern[str]:
        """Return what finds a word; group 1 is the tag's number."""
        return re.compile(rf"zq{self.nonce}n(\d{{4}})z")

    def is_block(self, found: re.Match[str]) -> bool:
        """Tell whether the word stands for a condition and not for a value."""
        return self.tags[int(found[1])].startswith("{%")

    def restore(self, text: str) -> str:
        """Return the text with its tags back."""
        return self.word.sub(lambda found: self.tags[int(found[1])], text)

    def all_in_order(self, text: str) -> bool:
        """Tell whether every tag stands in the text once, in the order it was written."""
        return [int(found[1]) for found in self.word.finditer(text)] == list(range(len(self.tags)))

    def blocks_to_comments(self, html: str) -> str:
        """Hide conditions in comments: they may stand between table rows, where HTML tolerates no text."""
        lonely = re.sub(rf"<p>\s*({self.word.pattern})\s*</p>", self._unwrap, html)
        return self.word.sub(lambda found: f"<!--{found[0]}-->" if self.is_block(found) else found[0], lonely)

    def comments_to_words(self, html: str) -> str:
        """Undo blocks_to_comments."""
        return re.sub(rf"<!--({self.word.pattern})-->", r"\1", html)

    def _unwrap(self, found: re.Match[str]) -> str:
        inner = self.word.fullmatch(found[1])
        return found[1] if inner and self.is_block(inner) else found[0]


def protect(source: str) -> tuple[str, Marks]:
    """Return the text with words in place of its tags, and what brings them back."""
    nonce = hashlib.blake2s(source.encode(), digest_size=6, person=b"marks").hexdigest()
    tags: list[str] = []

    def replace(found: re.Match[str]) -> str:
        tags.append(found[0])
        return f"zq{nonce}n{len(tags) - 1:04d}z"

    text = TAG.sub(replace, source)
    return text, Marks(nonce, tuple(tags))
