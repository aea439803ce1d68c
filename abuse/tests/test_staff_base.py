"""The staff area's shell: who gets in, and that stock admin pages stand on our templates."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.template.loader import render_to_string
from django.test import Client, RequestFactory

from abuse.templatetags import staff
from accounts.models import Organization
from sendserver.testing.personas import Persona, make_user, sign_in

pytestmark = pytest.mark.django_db


def test_start_page_needs_staff_with_a_second_factor(administrator: Persona, alice: Persona) -> None:
    without_factor = sign_in(make_user("Nell", "nell@staff.example", staff=True))
    assert administrator.client.get("/staff/").status_code == 200
    for client in (Client(), alice.client, without_factor):
        assert client.get("/staff/").status_code == 302


def test_stock_pages_render_in_our_shell(administrator: Persona, larkfield: Organization) -> None:
    class Stock(admin.ModelAdmin):
        list_display = ("name", "standing")
        list_filter = ("standing",)
        search_fields = ("name",)
        show_facets = admin.ShowFacets.ALWAYS
        readonly_fields = ("standing", "standing_since")
        fields = ("name", "standing", "standing_since")

    request = RequestFactory().get("/staff/accounts/organization/")
    request.user = administrator.user
    stock = Stock(Organization, admin.site)
    listing = stock.changelist_view(request).render().content.decode()
    assert 'class="s-app s-app--staff"' in listing
    assert 'data-l="Standing"' in listing
    assert "Larkfield" in listing
    assert "<span>Good</span>" in listing.replace("good", "Good")
    form = stock.changeform_view(request, str(larkfield.pk)).render().content.decode()
    assert "Larkfield" in form
    assert "s-panel" in form
    for page in (listing, form):
        assert "<style" not in page
        assert " style=" not in page
        assert "onclick" not in page


def test_facets_and_cells() -> None:
    assert staff.facet({"display": "Good (12)"}) == {"label": "Good", "count": "12"}
    assert staff.facet({"display": "All"}) == {"label": "All", "count": ""}
    row = staff.labelled_cells(['<th class="x">a</th>', "<td>b</td>"], [{"text": "one"}, {"text": 'a "b"'}])
    assert row == '<th class="x" scope="row">a</th><td data-l="A &quot;b&quot;">b</td>'


def test_nothing_here(administrator: Persona) -> None:
    page = render_to_string("admin/change_list_results.html", {"results": [], "cl": {"query": "x"}})
    assert "Nothing matches" in page
