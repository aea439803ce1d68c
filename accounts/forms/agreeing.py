"""The words beside the box: what somebody agrees to."""

from __future__ import annotations

from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html


def agree_words() -> str:
    """Return the consent line with links to the documents in their current version."""

    def link(name: str, words: str) -> str:
        try:
            return format_html('<a href="{}">{}</a>', reverse(name), words)
        except NoReverseMatch:
            return words

    return format_html(
        "I have read the {} and agree to it, the {} and the {}.",
        link("anti_spam", "Anti-Spam Policy"),
        link("terms", "Terms"),
        link("dpa", "data-processing agreement"),
    )
