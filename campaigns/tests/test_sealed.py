"""A message that is looked at: what stands where a picture stood, and what no markup can make a browser ask."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from accounts.models import Organization
from campaigns import sealed
from campaigns.models import Campaign
from campaigns.tests.world import make_draft, make_world
from sendserver.testing.personas import Persona

FAR = "https://far.example/p.gif?who=1&n=2"
# Each asks for FAR by itself when a browser shows it without a policy.
ASKING = (
    f'<img src="{FAR}">',
    f'<img srcset="{FAR} 2x">',
    f'<IMG SRC = "{FAR}">',
    f'<picture><source srcset="{FAR}"><img src="data:image/gif;base64,AA"></picture>',
    f'<input type="image" src="{FAR}">',
    f'<video poster="{FAR}"></video>',
    f'<table background="{FAR}"><tr><td>x</td></tr></table>',
    f'<p style="background:url({FAR})">x</p>',
    f"<p style=\"background:URL( '{FAR}' )\">x</p>",
    f"<style>p{{background:url({FAR})}}</style>",
    f'<svg><image href="{FAR}" xlink:href="{FAR}"></image></svg>',
    f'<link rel="dns-prefetch" href="{FAR}">',
    f'<meta http-equiv="refresh" content="0;url={FAR}">',
    f'<base href="{FAR}">',
    f'<object data="{FAR}"></object>',
    f'<iframe src="{FAR}"></iframe>',
)
LOADED = re.compile(r"(src|srcset|href|poster|background|data|content|url)\s*[=(]\s*['\"]?https", re.IGNORECASE)


@pytest.mark.parametrize("markup", ASKING)
def test_nothing_is_left_that_asks(markup: str) -> None:
    assert LOADED.search(markup)
    assert not LOADED.search(sealed.seal(f"<html><body>{markup}</body></html>"))


def test_where_a_picture_stands_is_told() -> None:
    found = sealed.seal(f'<p>Hi <img src="{FAR}" alt="A &lt;b&gt; shed" width="1" height="1"> there</p>')
    assert (
        "Picture of 1 by 1, not loaded: “A &lt;b&gt; shed” <br>https://far.example/p.gif?who=1&amp;n=2</span>" in found
    )
    assert found.index("Hi") < found.index("Picture of") < found.index("there")


def test_a_picture_without_words_and_one_in_the_background_are_told_too() -> None:
    found = sealed.seal(f'<img src="{FAR}"><table background="https://far.example/b.png"><tr><td>x</table>')
    assert "without words" in found
    assert "Pictures in the background, not loaded:  <br>https://far.example/b.png" in found


def test_links_words_and_pictures_that_the_message_brings_stay() -> None:
    kept = '<p style="color:red">Hello <a href="https://far.example/">there</a></p><img src="data:image/gif;base64,AA">'
    assert kept in sealed.seal(f"<html><body>{kept}</body></html>")


def test_a_long_address_is_cut() -> None:
    assert len(sealed.seal(f'<img src="https://far.example/{"x" * 9000}">')) < 1500


# ---------- pages


@pytest.fixture
def draft(larkfield: Organization, alice: Persona) -> Campaign:
    return make_draft(make_world(larkfield), alice.user, body="Look: ![The shed](https://far.example/p.gif)")


@pytest.mark.django_db
def test_the_preview_loads_nothing_unless_asked(draft: Campaign, alice: Persona) -> None:
    url = reverse("campaign_preview", args=[draft.uid])
    usual, asked = alice.client.get(url), alice.client.get(url, {"pictures": "web"})
    assert "<img" not in usual.content.decode()
    assert "The shed" in usual.content.decode()
    assert "img-src data:;" in usual["Content-Security-Policy"]
    assert '<img src="https://far.example/p.gif"' in asked.content.decode()
    assert "img-src https: data:;" in asked["Content-Security-Policy"]
    for answer in (usual, asked):
        assert "default-src 'none'" in answer["Content-Security-Policy"]
        assert "sandbox;" in answer["Content-Security-Policy"]
        assert answer["Referrer-Policy"] == "no-referrer"
        assert answer["X-DNS-Prefetch-Control"] == "off"


@pytest.mark.django_db
@pytest.mark.parametrize("value", ["", "1", "WEB", "true"])
def test_only_the_button_of_the_editor_asks(draft: Campaign, alice: Persona, value: str) -> None:
    answer = alice.client.get(reverse("campaign_preview", args=[draft.uid]), {"pictures": value})
    assert "<img" not in answer.content.decode()


@pytest.mark.django_db
def test_the_editor_asks_for_pictures_after_a_press_only(draft: Campaign, alice: Persona) -> None:
    url = reverse("campaign_edit", args=[draft.uid])
    usual, pressed = alice.client.get(url).content.decode(), alice.client.get(url, {"pictures": "web"}).content.decode()
    assert "pictures=web" not in usual
    assert 'name="pictures" value="web" aria-pressed="false"' in usual
    assert "?as=html&amp;pictures=web" in pressed
    assert 'name="pictures" value="" aria-pressed="true"' in pressed
