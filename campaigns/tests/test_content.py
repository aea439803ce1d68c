"""The merge language, the body, and the compiler: what comes out is what was written, byte by byte."""

from __future__ import annotations

import email
import re
import sys
from email import policy as email_policy

import dkim
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from campaigns.content import merge
from campaigns.content.body import Built, Frame, build
from campaigns.content.compile import CompiledMessage, MessageContent, compile_message
from campaigns.content.quoted import encode
from campaigns.errors import ContentError, RenderError

FIELDS = frozenset({"first_name", "last_name", "city", "web"})
URLS = {
    "unsubscribe_url": "https://s.example/u/t/",
    "why_url": "https://s.example/why/t/",
    "report_url": "https://s.example/abuse/?t=t",
}
FRAME = Frame(
    legal_name="Acme {{ first_name }} Tools GmbH",
    postal_line="Domstr. 5, 50668 Köln, DE",
    register="HRB 1",
    contact="service@acme.example",
    website="https://acme.example",
    reason="You get this because you signed up with Acme: “News”.",
)


def content(html: str = "<p>x</p>", text: str = "x", subject: str = "Hi") -> MessageContent:
    return MessageContent(subject, "", "Acme", "news@acme.example", "", html, text, "News", "l1.x", FIELDS)


def compiled(html: str = "<p>x</p>", text: str = "x", subject: str = "Hi") -> CompiledMessage:
    return compile_message(content(html, text, subject))


def parts(message: CompiledMessage, values: dict[str, str]) -> tuple[str, str]:
    head = f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="{message.boundary}"\r\n\r\n'
    parsed = email.message_from_bytes(head.encode() + message.body(values), policy=email_policy.SMTP)
    assert parsed.defects == []
    plain, rich = parsed.iter_parts()
    return decoded(plain), decoded(rich)


def decoded(part: email.message.EmailMessage) -> str:
    assert part.defects == []
    return part.get_payload(decode=True).decode().replace("\r\n", "\n")


def made(source: str, form: str = "markdown", preheader: str = "", click: object = None) -> Built:
    return build(source, form=form, preheader=preheader, frame=FRAME, click_url=click)  # type: ignore[arg-type]


# ---------- merge language


@pytest.mark.parametrize(
    ("source", "values", "wanted"),
    [
        ("Hi {{ first_name }}", {"first_name": "Ada"}, "Hi Ada"),
        ('Hi {{ first_name | default: "there" }}', {}, "Hi there"),
        ('Hi {{ first_name | default: "there" }}', {"first_name": "  "}, "Hi there"),
        ("{{ city | upcase }}{{ city | downcase }}", {"city": "York"}, "YORKyork"),
        ("{{ city | capitalize | truncate: 4, '.' }}", {"city": "york MINSTER"}, "Yor."),
        ("{{ city | url_encode }}", {"city": "a b&c"}, "a%20b%26c"),
        ("{{ city | date: '%d %B %Y' }}", {"city": "2026-11-14"}, "14 November 2026"),
        ("{{ city | date: '%d %B %Y' }}", {"city": "soon"}, "soon"),
        ("{% if city == 'York' %}Y{% elsif city contains 'on' %}L{% else %}?{% endif %}", {"city": "London"}, "L"),
        ("{% if city %}yes{% else %}no{% endif %}", {"city": " "}, "no"),
        ("{% unless city %}none{% endunless %}", {}, "none"),
        ("{% if city != '' and first_name %}both{% endif %}", {"city": "x", "first_name": "y"}, "both"),
        ("{% if city > 9 %}big{% endif %}", {"city": "10"}, "big"),
        ("{% case city %}{% when 'A', 'B' %}ab{% when 'C' %}c{% else %}other{% endcase %}", {"city": "B"}, "ab"),
        ("{% case city %}{% when 'A' %}a{% else %}other{% endcase %}", {"city": "Z"}, "other"),
        ("a{% comment %}{{ nonsense }}{% endcomment %}b", {}, "ab"),
        ("{{ first_name }}", {"first_name": "{{ last_name }}{% if %}", "last_name": "X"}, "{{ last_name }}{% if %}"),
    ],
)
def test_it_renders(source: str, values: dict[str, str], wanted: str) -> None:
    assert merge.render(merge.parse(source, FIELDS), values) == wanted


@pytest.mark.parametrize(
    "source",
    [
        "{{ zip }}",
        "{{ first_name.__class__ }}",
        "{{ first_name['x'] }}",
        "{{ __class__ }}",
        "{{ 7 * 7 }}",
        "{{ 'text' }}",
        "{{ first_name | join: 'x' }}",
        "{{ first_name | split: '' }}",
        "{{ first_name | default }}",
        "{{ first_name | truncate: last_name }}",
        "{{ first_name if city else last_name }}",
        "{% for x in city %}{% endfor %}",
        "{% assign x = 1 %}",
        "{% capture x %}{% endcapture %}",
        "{% include 'x' %}",
        "{% render 'x' %}",
        "{% load static %}",
        "{% raw %}{{ x }}{% endraw %}",
        "{% tablerow x in city %}{% endtablerow %}",
        "{{ first_name",
        "{% if first_name %}",
        "{% if (1..9999999) contains city %}x{% endif %}",
        "{% if city %}" * 9 + "x" + "{% endif %}" * 9,
        "{{ city }}" * 2001,
    ],
)
def test_it_refuses_what_it_does_not_offer(source: str) -> None:
    with pytest.raises(ContentError):
        merge.parse(source, FIELDS)


def test_an_empty_field_without_words_is_an_error_that_names_it() -> None:
    with pytest.raises(RenderError) as caught:
        merge.render(merge.parse("Dear {{ first_name }}", FIELDS), {"first_name": ""})
    assert (caught.value.field, caught.value.reason) == ("first_name", "empty")


def test_needed_are_fields_without_words_and_conditions() -> None:
    source = "{{ first_name }}{{ last_name | default: 'x' }}{% if city %}{{ city }}{% endif %}"
    program = merge.parse(source, FIELDS)
    assert merge.needed_fields(program) == {"first_name"}
    assert merge.fields_of(program) == {"first_name", "last_name", "city"}


def test_work_grows_with_length_only() -> None:
    def calls(times: int) -> int:
        source = "{% if city %}{{ first_name | truncate: 10 }}{% endif %} words " * times
        counted = [0]

        def count(*_: object) -> None:
            counted[0] += 1

        sys.setprofile(count)
        try:
            merge.render(merge.parse(source, FIELDS), {"city": "x", "first_name": "y" * 1000})
        finally:
            sys.setprofile(None)
        return counted[0]

    calls(20)
    assert calls(600) < 12 * calls(60)


# ---------- quoted-printable


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=400))
@hypothesis_settings(max_examples=300, deadline=None)
def test_a_piece_decodes_to_its_text(text: str) -> None:
    import quopri

    wire = encode(text)
    assert quopri.decodestring(wire).decode().replace("\r\n", "\n") == text.replace("\r\n", "\n").replace("\r", "\n")
    assert wire == b"" or wire.endswith(b"\r\n")
    for line in wire.split(b"\r\n"):
        assert len(line) <= 76
        assert not line.startswith((b".", b"From "))
        assert not line.endswith((b" ", b"\t"))
        assert b"  " not in line
        assert b"\t" not in line
        assert all(32 <= octet < 127 for octet in line)


@given(
    literal=st.text(alphabet="ab .\n<>=é\tF", max_size=200),
    value=st.text(alphabet="ab .\nFrom é&<\"'{}=", min_size=1, max_size=100),
)
@hypothesis_settings(max_examples=200, deadline=None)
def test_a_message_says_what_was_written_for_any_value(literal: str, value: str) -> None:
    source = f"{literal}{{{{ city }}}}{literal}"
    message = compiled(html=source, text=source)
    plain, rich = parts(message, {"city": value})
    assert plain == f"{literal}{value}{literal}"
    assert rich == message.html({"city": value})


@given(value=st.text(alphabet="ab .é\n", min_size=1, max_size=80))
@hypothesis_settings(max_examples=50, deadline=None)
def test_the_body_is_its_own_relaxed_form_and_needs_no_dot_stuffing(value: str) -> None:
    body = compiled(html="<p>a  b \n.x {{ city }}\t</p>\n\n\n", text=".dot\n\n{{ city }}\n\n").body({"city": value})
    assert dkim.canonicalization.Relaxed.canonicalize_body(body) == body
    assert re.search(rb"(?:^|\r\n)\.", body) is None
    assert re.search(rb"(?<!\r)\n|\r(?!\n)|\x00", body) is None
    assert max(len(line) for line in body.split(b"\r\n")) <= 76


# ---------- places of values


def test_values_are_escaped_in_html_and_not_in_text() -> None:
    message = compiled(html='<p title="{{ city }}">{{ city }}</p>', text="{{ city }}")
    plain, rich = parts(message, {"city": "<b>\"&'</b>"})
    escaped = "&lt;b&gt;&quot;&amp;&#x27;&lt;/b&gt;"
    assert rich == f'<p title="{escaped}">{escaped}</p>'
    assert plain == "<b>\"&'</b>"


@pytest.mark.parametrize(
    "value", ["javascript:alert(1)", "data:text/html,x", "//evil.example", " https://x", "jAvascript:x"]
)
def test_a_value_that_begins_a_link_must_be_a_web_address(value: str) -> None:
    with pytest.raises(RenderError):
        compiled(html='<a href="{{ web }}">x</a>').body({"web": value})


def test_a_web_address_may_begin_a_link_and_a_value_inside_is_encoded() -> None:
    message = compiled(html="<a href='{{ web }}'>x</a><a href=\"https://a.example/?n={{ city }}&m={{ city }}\">y</a>")
    html = message.html({"web": "https://w.example/?a=1&b=2", "city": "a&b'\" <c>"})
    assert "href='https://w.example/?a=1&amp;b=2'" in html
    assert 'href="https://a.example/?n=a%26b%27%22%20%3Cc%3E&m=a%26b%27%22%20%3Cc%3E"' in html


@pytest.mark.parametrize("control", ["\x00", "\x07", "\x1b", "\x7f", "\x85", "\u2028"])
def test_controls_in_values_are_refused(control: str) -> None:
    with pytest.raises(RenderError):
        compiled(html="<p>{{ city }}</p>").body({"city": f"a{control}b"})


@pytest.mark.parametrize("control", ["\r\n", "\n", "\r", "\x00", "\x0b", "\x85", "\u2028", "\u2029", "\u202e"])
def test_a_subject_takes_no_line_breaks_from_values(control: str) -> None:
    with pytest.raises(RenderError) as caught:
        compiled(subject="Hi {{ first_name }}").subject({"first_name": f"Ada{control}Bcc: x@y.example"})
    assert caught.value.field == "first_name"


def test_a_subject_is_not_escaped_and_not_endless() -> None:
    message = compiled(subject="Hi {{ first_name }}")
    assert message.subject({"first_name": "A & B"}) == "Hi A & B"
    with pytest.raises(RenderError):
        message.subject({"first_name": "x" * 1000})


def test_content_survives_being_kept() -> None:
    import json

    kept = json.loads(json.dumps(content().to_json()))
    assert MessageContent.from_json({**kept, "lists": ["x"]}) == content()


def test_any_changed_word_changes_the_hash() -> None:
    hashes = {
        content().sha256(),
        content(subject="Ho").sha256(),
        content(html="<p>y</p>").sha256(),
        content(text="y").sha256(),
    }
    assert len(hashes) == 4


# ---------- body


def test_the_footer_is_ours_and_no_merge_tag_of_a_name_is_read() -> None:
    built = made("Hello")
    message = compiled(html=built.html, text=built.text)
    html = message.html(URLS)
    assert "Acme &#123;&#123; first_name &#125;&#125; Tools GmbH, HRB 1" in html
    assert 'href="https://s.example/u/t/"' in html
    assert "Domstr. 5, 50668 Köln, DE" in message.text(URLS)
    assert "Unsubscribe: https://s.example/u/t/" in message.text(URLS)


def test_customer_styles_do_not_reach_the_footer() -> None:
    built = made(
        "<style>*{display:none!important} p{font-size:1px}</style><p>Hi</p><div style='display:none'>", form="html"
    )
    foot = built.html[built.html.index("You get this because") - 200 :]
    assert "display: none" not in foot
    assert "font-size: 1px" not in foot
    assert "<style" not in built.html


def test_an_open_comment_or_element_does_not_swallow_the_footer() -> None:
    from compliance.visible import shows

    for source in (
        "<p>Hi <!-- ",
        "<div style='display:none'><table><tr><td>Hi",
        "<textarea>",
        "<p>Hi</p></body></html><!--",
    ):
        built = made(source, form="html")
        assert shows(built.html, "Domstr. 5, 50668 Köln, DE"), source


def test_links_are_counted_but_ours_and_personal_ones_are_not() -> None:
    source = (
        "[a](https://acme.example/a?x=1&y=2) [again](https://acme.example/a?x=1&y=2) [b](http://acme.example/b) "
        "[p](https://acme.example/{{ city }}) [m](mailto:x@acme.example)"
    )
    built = made(source, click=lambda number: f"https://s.example/c/tok/{number}/")
    assert built.counted == ("https://acme.example/a?x=1&y=2", "http://acme.example/b")
    assert built.html.count("https://s.example/c/tok/1/") == 2
    assert "https://acme.example/{{ city }}" in built.html
    assert 'href="https://acme.example"' in built.html  # the imprint
    assert [link.url for link in built.links][3] == "https://acme.example/{{ city }}"


def test_links_of_pictures_are_links_too() -> None:
    built = made(
        '<map><area href="https://acme.example/x" alt="x"></map>',
        form="html",
        click=lambda number: f"https://s/{number}/",
    )
    assert built.counted == ("https://acme.example/x",)
    assert [link.url for link in built.links] == ["https://acme.example/x"]


def test_markdown_takes_no_html_and_keeps_tags() -> None:
    built = made('Hi {{ first_name | default: "there" }} <script>x</script> **bold**')
    html = compiled(html=built.html).html({"first_name": "", **URLS})
    assert "Hi there &lt;script&gt;" in html
    assert "<strong>bold</strong>" in html


@pytest.mark.parametrize(("city", "rows"), [("York", 2), ("", 1)])
def test_conditions_stand_between_table_rows(city: str, rows: int) -> None:
    source = "<table>{% if city %}<tr><td>{{ city }}</td></tr>{% endif %}<tr><td>always</td></tr></table>"
    built = made(source, form="html")
    message = compiled(html=built.html, text=built.text)
    assert message.html({"city": city, **URLS}).count("<td") == rows
    assert ("York" in message.text({"city": city, **URLS})) is bool(city)


@pytest.mark.parametrize(
    "source",
    [
        '<img src="https://x.example/{{ city }}.png">',
        '<p class="{{ city }}">x</p>',
        '<p style="color:{{ city }}">x</p>',
        "<{{ city }}>x",
        "<a {% if city %}href='x'{% endif %}>x</a>",
        "<!-- {{ city }} -->",
        "<style>p{color:{{ city }}}</style>",
        "<title>{{ city }}</title>",
    ],
)
def test_fields_stand_only_where_they_can_be_escaped(source: str) -> None:
    with pytest.raises(ContentError):
        made(source, form="html")


def test_the_preview_line_is_hidden_and_escaped() -> None:
    built = made("Hi", preheader='Tea & <cake> for {{ first_name | default: "you" }}')
    html = compiled(html=built.html).html({**URLS, "first_name": "<Ada>"})
    assert "Tea &amp; &lt;cake&gt; for &lt;Ada&gt;</div>" in html


def test_nothing_is_fetched_while_styles_are_inlined() -> None:
    built = made('<link rel="stylesheet" href="http://127.0.0.1:1/x.css"><p>Hi</p>', form="html")
    assert "<link" not in built.html
