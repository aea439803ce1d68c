"""Components and form fields: escaped, tied together for screen readers, free of inline style."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django import forms
from django.conf import settings
from django.core.paginator import Paginator
from django.template import engines
from django.test import RequestFactory

from sendserver.lib import clock, icons

STATIC = Path(settings.BASE_DIR) / "static"
EVIL = '<img src=x onerror="alert(1)">'


def render(source: str, **values: object) -> str:
    return engines["django"].from_string(source).render(values, RequestFactory().get("/?q=a&page=2"))


class Shape(forms.Form):
    email = forms.EmailField(label="Work e-mail", help_text="We send a code to it.")
    note = forms.CharField(required=False, widget=forms.Textarea)
    kind = forms.ChoiceField(choices=[("a", "Ours | They signed up"), ("b", "Bought")], widget=forms.RadioSelect)
    country = forms.ChoiceField(choices=[("", "Choose"), ("DE", "Germany")])
    agree = forms.BooleanField(label="I agree")
    secret = forms.CharField(widget=forms.HiddenInput, required=False)


def test_the_error_comes_before_the_input_and_is_tied_to_it() -> None:
    html = render("{% field form.email %}", form=Shape({"email": "nobody"}))
    hint, error, field = (html.index(part) for part in ("id_email_helptext", "id_email_error", "<input"))
    assert hint < error < field
    assert 'aria-describedby="id_email_helptext id_email_error"' in html
    assert 'aria-invalid="true"' in html
    assert "is-invalid" in html
    assert "Enter an e-mail address like name@example.com" in html


def test_a_right_field_claims_no_error() -> None:
    html = render("{% field form.email %}", form=Shape())
    assert "aria-invalid" not in html
    assert "invalid-feedback" not in html
    assert '<label class="form-label" for="id_email">Work e-mail</label>' in html


def test_what_may_stay_empty_says_so() -> None:
    html = render("{% field form.note %}{% field form.country %}", form=Shape())
    assert html.count("(optional)") == 1


def test_choices_are_one_group_with_second_lines() -> None:
    html = render("{% field form.kind %}", form=Shape({"email": "a@b.example"}))
    assert html.count("<fieldset") == html.count("<legend") == 1
    assert "<b>Ours</b><small>They signed up</small>" in html
    assert 'aria-describedby="id_kind_error"' in html


def test_the_summary_links_every_wrong_field_and_takes_focus() -> None:
    form = Shape({})
    html = render("{% errors form %}{% fields form %}", form=form)
    targets = re.findall(r'<li><a href="#([^"]+)"', html)
    assert targets == ["id_email", "id_kind_0", "id_country", "id_agree"]
    for target in targets:
        assert f'id="{target}"' in html
    assert "4 things to correct" in html
    assert 'role="alert" tabindex="-1"' in html


def test_a_form_without_errors_has_no_summary() -> None:
    assert render("{% errors form %}", form=Shape()) == ""


def test_values_and_errors_of_people_are_escaped() -> None:
    form = Shape({"email": EVIL, "note": EVIL, "kind": EVIL, "country": EVIL})
    form.add_error(None, EVIL)
    assert "<img" not in render("{% errors form %}{% fields form %}", form=form)


def test_crispy_forms_draw_the_same_field() -> None:
    own = render("{% field form.email %}", form=Shape())
    crispy = render("{% load crispy_forms_filters %}{{ form.email|as_crispy_field }}", form=Shape())
    assert " ".join(own.split()) == " ".join(crispy.split())


def test_attributes_are_passed_on() -> None:
    html = render('{% field form.note rows="3" hx_post="/x/" classes="s-mono" %}', form=Shape())
    assert 'rows="3"' in html
    assert 'hx-post="/x/"' in html
    assert 'class="form-control s-mono"' in html


COMPONENTS = """{% notice kind title=evil %}{{ evil }}{% endnotice %}{% tag evil %}{% dot "" evil %}
{% stat evil evil evil %}
{% meter 1 2 evil %}{% limit evil 1 2 evil shown=evil %}{% lane evil 1 2 which=1 live=True %}{% facts pairs %}
{% answers pairs %}{% timeline items %}{% empty title=evil %}{{ evil }}{% endempty %}{% copy_code evil label=evil %}
{% standing_tag evil %}{% campaign_tag evil %}{% steps evil 1 evil %}{% rule evil %}{% meter_parts parts evil %}"""


def test_no_component_lets_markup_through_or_needs_inline_style() -> None:
    html = render(
        COMPONENTS,
        kind="info",
        evil=EVIL,
        pairs=[(EVIL, EVIL)],
        items=[{"title": EVIL, "text": EVIL, "at": clock.now()}],
        parts=[(1, "c1")],
    )
    assert "<img" not in html
    assert "style=" not in html


@pytest.mark.parametrize("name", sorted(icons.PATHS))
def test_every_icon_is_decorative(name: str) -> None:
    assert 'aria-hidden="true"' in render("{% icon name %}", name=name)


def test_a_copy_button_waits_for_script() -> None:
    html = render('{% copy_code "v=DKIM1" label="the record" %}')
    assert re.search(r'data-copy="(code-\d+)" hidden', html)[1] in html.split("<button")[0]  # type: ignore[index]


def test_a_limit_stands_in_the_middle_and_turns_colour_when_passed() -> None:
    assert 'w-10 f-c1"' in render('{% limit "Complaints" 0.02 0.10 "warned at 0.10%" %}')
    assert 'w-60 f-c4"' in render('{% limit "Complaints" 0.12 0.10 "warned at 0.10%" %}')


def test_when_is_absolute_and_near_times_say_how_near() -> None:
    now = clock.now()
    assert "(4 min ago)" in render("{{ at|when }}", at=now - timedelta(minutes=4))
    assert "ago" not in render("{{ at|when }}", at=now - timedelta(days=3))
    assert render("{{ at|when }}", at=None) == "not yet"
    assert "3 Nov 2025" in render("{{ at|day }}", at=datetime(2025, 11, 3, tzinfo=UTC))


def test_the_pager_keeps_the_question() -> None:
    page = Paginator(range(50), 10).page(2)
    html = render("{% pager page %}", page=page)
    assert 'href="?q=a&amp;page=1"' in html
    assert 'href="?q=a&amp;page=3"' in html
    assert render("{% pager page %}", page=Paginator(range(5), 10).page(1)).strip() == ""


def test_a_rule_links_to_its_anchor() -> None:
    assert 'href="/anti-spam/#r2-3">rule 2.3</a>' in render('{% rule "2.3" %}')


def test_every_width_and_place_has_its_class() -> None:
    css = (STATIC / "css" / "fit.css").read_text()
    for share in range(101):
        for letter in "wlt":
            assert f".{letter}-{share} {{" in css


def test_light_values_stand_the_same_twice() -> None:
    """Browsers without light-dark() get the light value of every token from the fallback block."""
    css = (STATIC / "css" / "tokens.css").read_text()
    first, second = css.split("@supports not", 1)
    twice = dict(re.findall(r"(--ss-[\w-]+):\s*light-dark\((#[0-9a-f]{6}),", first))
    fallback = dict(re.findall(r"(--ss-[\w-]+):\s*(#[0-9a-f]{6})", second.split("}", 1)[0]))
    assert fallback == twice


def test_every_class_of_ours_in_a_component_exists() -> None:
    css = "".join(path.read_text() for path in (STATIC / "css").glob("*.css"))
    for name in re.findall(r"\bs-[a-z]+(?:__\w+|--\w+)?", Path("sendserver/lib/tags.py").read_text()):
        assert f".{name}" in css, name


def test_vendored_files_are_what_the_manifest_says() -> None:
    vendor = STATIC / "vendor"
    listed = json.loads((vendor / "manifest.json").read_text())
    for one in listed:
        assert hashlib.sha256((vendor / one["file"]).read_bytes()).hexdigest() == one["sha256"]
        assert (vendor / one["licence_file"]).exists()
    known = {one["file"] for one in listed} | {one["licence_file"] for one in listed} | {"manifest.json"}
    assert {path.name for path in vendor.iterdir()} == known
