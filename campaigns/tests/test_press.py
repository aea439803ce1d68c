"""What a letter works out once gives the same bytes as working it out for each recipient."""

from __future__ import annotations

import quopri
from dataclasses import replace
from email import message_from_bytes, policy

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from campaigns.content import segments
from campaigns.content.compile import CompiledMessage, MessageContent, compile_message
from campaigns.content.quoted import encode, encode_all, is_sound
from campaigns.errors import RenderError
from campaigns.inbound.addresses import Links
from campaigns.sending import dkim, mime

KEY = rsa.generate_private_key(65537, 2048)
SIGNERS = tuple(dkim.Signer(selector, domain, KEY) for selector, domain in (("p1", "larkfield.example"), ("m", "m.x")))
FIELDS = frozenset({"first_name", "city", "web", "points"})


def letter(html: str, text: str = "x", subject: str = "Hello {{ first_name }}") -> mime.Letter:
    content = MessageContent(
        subject=subject,
        preheader="",
        from_name="Larkfield",
        from_address="news@larkfield.example",
        reply_to="",
        html=html,
        text=text,
        list_name="Newsletter",
        list_id="l1.lists.sendserver.example",
        fields=FIELDS,
    )
    return mime.Letter(compile_message(content), "Larkfield", "news@larkfield.example", "", "Newsletter",
                       "l1.lists.sendserver.example", "c1:o1:mkt:mxsendserver", "b.larkfield.example")  # fmt: skip


def parts(written: mime.Written) -> tuple[str, str]:
    """Return text and HTML as a mail program reads them."""
    mail = message_from_bytes(written.message, policy=policy.default)
    texts = [mail.get_body((kind,)).get_content() for kind in ("plain", "html")]
    return texts[0], texts[1]


def unframed(compiled: CompiledMessage, delivery: int, values: dict[str, str]) -> bytes:
    """Write a body with the links as values like any other."""
    return compiled.body({**values, **mime._urls(Links.of(delivery))})


LINKS = '<a href="{{ unsubscribe_url }}">stop</a> {{ why_url }} <a href="{{ report_url }}">report</a>'


@given(st.integers(1, 2**62), st.text(max_size=40))
def test_framed_links_are_those_that_would_be_encoded(delivery: int, city: str) -> None:
    one = letter(f"<p>{{{{ city }}}}</p>{LINKS}", "{{ city }} {{ unsubscribe_url }} {{ report_url }}")
    assert len(one.press.frames.groups) == 3
    assert not one.press.needs_urls
    values = {"first_name": "Ada", "city": city}
    try:
        wanted = unframed(one.compiled, delivery, values)
    except RenderError:
        with pytest.raises(RenderError):
            mime.write(one, mime.Recipient(delivery, "ada@inbox.example", values))
        return
    written = mime.write(one, mime.Recipient(delivery, "ada@inbox.example", values))
    assert written.message.endswith(b"\r\n\r\n" + wanted)


@pytest.mark.parametrize(
    "html",
    [
        "<p>{{ unsubscribe_url | upcase }}</p>",  # changes the token
        "<p>{{ unsubscribe_url | truncate: 30 }}</p>",  # cuts it
        '<p>{% if unsubscribe_url contains "/u/" %}yes{% endif %}</p>',  # asks for it
    ],
)
def test_a_link_that_is_worked_on_is_written_for_each_recipient(html: str) -> None:
    one = letter(html)
    assert one.press.needs_urls
    for delivery in (5, 6):
        written = mime.write(one, mime.Recipient(delivery, "ada@inbox.example", {"first_name": "Ada"}))
        assert written.message.endswith(unframed(one.compiled, delivery, {}))


def test_a_long_base_address_still_leads_home(settings) -> None:  # type: ignore[no-untyped-def]
    settings.BASE_URL = "https://" + "very-long-name." * 6 + "example"
    one = letter(f"<p>{LINKS}</p>")
    written = mime.write(one, mime.Recipient(9, "ada@inbox.example", {"first_name": "Ada"}))
    assert Links(written.envelope.envid).unsubscribe_url in parts(written)[1]


def test_an_arm_that_is_not_taken_asks_nothing_of_its_values() -> None:
    html = '<p>{{ city }}</p>{% if points %}<a href="{{ web }}">{{ points }}</a>{% else %}{{ web }}{% endif %}'
    one = letter(html)
    values = {"first_name": "Ada", "city": "Ely", "web": "no address", "points": ""}
    assert "no address" in parts(mime.write(one, mime.Recipient(1, "a@b.example", values)))[1]
    with pytest.raises(RenderError, match="web"):
        mime.write(one, mime.Recipient(1, "a@b.example", {**values, "points": "3"}))
    assert "no address" in parts(mime.write(one, mime.Recipient(1, "a@b.example", values)))[1]


@given(
    st.lists(st.tuples(*[st.sampled_from(["", "Ada", "Zoë", "a<b", "http://x.example/?q=1&r=2", ".", "From x"])] * 4))
)
def test_what_was_remembered_is_what_would_be_written(rows: list[tuple[str, ...]]) -> None:
    html = (
        '<p>{{ first_name | default: "you" }} {{ city | default: "Ely" }}</p><a href="https://x.example/?c={{ city }}">'
        "{% if points %}{{ points }}{% unless web %}-{% else %}"
        '<a href="{{ web }}">{{ web }}</a>{% endunless %}{% endif %}'
    )
    text = '{{ first_name | default: "you" }}\n{{ city | default: "Ely" }}'
    subject = '{{ first_name | default: "you" }}, {{ city | default: "Ely" }}'
    kept = letter(html, text, subject)
    for number, row in enumerate(rows):
        values = dict(zip(sorted(FIELDS), row, strict=True))
        recipient = mime.Recipient(number, "ada@inbox.example", values)
        fresh = letter(html, text, subject)
        try:
            wanted = mime.write(fresh, recipient, clock=lambda: 1.7e9)
        except RenderError as error:
            with pytest.raises(RenderError, match=str(error)):
                mime.write(kept, recipient, clock=lambda: 1.7e9)
            continue
        assert mime.write(kept, recipient, clock=lambda: 1.7e9) == wanted


MANY = st.lists(
    st.tuples(
        *[st.sampled_from(["Ada", "Zoë", "a<b", "x y", "tab\t", "two\nlines", "a" * 74, "é" * 20, ".", "", "\0"])] * 3
    ),
    min_size=1,
    max_size=8,
)


@given(MANY, st.booleans())
def test_together_they_are_written_as_each_by_itself(rows: list[tuple[str, ...]], is_signed: bool) -> None:
    html = (
        '<p>{{ first_name | default: "you" }} of {{ city }}</p>{% if points %}{{ points }} {{ first_name | upcase }}'
        '{% elsif city == "x y" %}<a href="https://x.example/?c={{ city }}">{{ points }}-</a>{% endif %}'
    )
    one = letter(html + LINKS, "{{ city }}\n{{ unsubscribe_url }}", '{{ first_name | default: "Zoë" }} in {{ city }}')
    one = replace(one, signers=SIGNERS if is_signed else ())
    recipients = [
        mime.Recipient(number, f"r{number}@inbox.example", {**row_values(row), "last_name": row[2]})
        for number, row in enumerate(rows)
    ]
    try:
        alone = [mime.write(replace(one), recipient, clock=lambda: 1.7e9) for recipient in recipients]
    except RenderError:
        with pytest.raises(RenderError):
            mime.write_all(one, recipients, clock=lambda: 1.7e9)
        return
    assert mime.write_all(one, recipients, clock=lambda: 1.7e9) == alone


def row_values(row: tuple[str, ...]) -> dict[str, str]:
    """Return the merge values of a row."""
    return dict(zip(("first_name", "city", "points"), row, strict=True))


def test_a_body_without_values_is_written_for_each() -> None:
    one = letter("<p>All the same.</p>", "All the same.", "The same")
    several = mime.write_all(one, [mime.Recipient(number, f"r{number}@inbox.example") for number in range(3)])
    assert [written.envelope.recipient for written in several] == [f"r{number}@inbox.example" for number in range(3)]
    assert len({written.message for written in several}) == 3
    assert {parts(written) for written in several} == {parts(several[0])}


def test_one_that_cannot_be_written_fails_all_and_is_named() -> None:
    one = letter("<p>{{ city }}</p>", "x", "Hello")
    recipients = [mime.Recipient(number, "a@b.example", {"city": "Ely" if number else ""}) for number in range(3)]
    with pytest.raises(RenderError, match="city"):
        mime.write_all(one, recipients)
    assert len(mime.write_all(one, recipients[1:])) == 2


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "KNOWN_MAX", 8)
    one = letter("<p>{{ city }}</p>")
    for number in range(100):
        values = {"first_name": f"n{number}", "city": f"c{number}"}
        assert f"c{number}" in parts(mime.write(one, mime.Recipient(number, "a@b.example", values)))[1]
        assert all(len(group._known) <= 8 for group in one.compiled.groups)


@given(st.text(alphabet=st.sampled_from(list("a.F rom=\r\n\t\0ö<")), max_size=200))
def test_every_piece_is_sound(text: str) -> None:
    if "\0" not in text:  # refused before it comes here
        assert is_sound(encode(text))


WORDS = st.text(alphabet=st.sampled_from(list("aF .=rom\n\x85ö\xa0")), max_size=80)


@given(st.lists(st.one_of(WORDS, st.sampled_from(["a" * 74, "a" * 75, "=" * 25, "=" * 26, "ö" * 12, "ö" * 13]))))
def test_pieces_encoded_together_are_sound_and_mean_the_same(texts: list[str]) -> None:
    found = encode_all(texts)
    assert len(found) == len(texts)
    for text, piece in zip(texts, found, strict=True):
        assert is_sound(piece)
        assert quopri.decodestring(piece.replace(b"\r\n", b"\n")).decode() == text


@pytest.mark.parametrize(
    "piece", [b"a\rb\r\n", b"a\nb\r\n", b"a\0b\r\n", b".a\r\n", b"a\r\n.b\r\n", b"a" * 77 + b"\r\n", b"a"]
)
def test_an_unsound_piece_is_known(piece: bytes) -> None:
    assert not is_sound(piece)


BLANKS = st.text(st.sampled_from(list("a  \t\r\nö=?-")), max_size=60)


@given(st.integers(1, 2**62), BLANKS, BLANKS)
def test_a_prepared_signature_is_the_one_that_would_be_made(delivery: int, name: str, city: str) -> None:
    html = "<p>{{ city }}</p>" + LINKS
    one = replace(letter(html, "{{ city }}\n.x", '{{ city | default: "Ely" }}'), signers=SIGNERS)
    values = {"first_name": name, "city": city}
    try:
        written = mime.write(one, mime.Recipient(delivery, "ada@inbox.example", values), clock=lambda: 1.7e9)
    except RenderError:
        return
    links = Links(written.envelope.envid)
    (to,), (subject,) = mime._tos([values], ["ada@inbox.example"]), one.press.subjects([values])
    headers = one.headers(links, mime._date(1_700_000_000), to, subject)
    body = unframed(one.compiled, delivery, values)
    signatures = dkim.sign(headers, body, SIGNERS, at=1_700_000_000)
    assert dkim.relaxed_body(body) == body
    assert written.message == mime._block([*signatures, *headers]) + b"\r\n" + body
