"""The forms of the verification task list."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from django import forms

from accounts import policy
from accounts.countries import COUNTRIES
from accounts.forms.texts import LineField
from accounts.models import BusinessProfile, CollectionPractice

# Texts that stand in for an address; rules ID-POSTAL-VALID.
_PLACEHOLDER = re.compile(r"(?i)\b(123 (main|fake) st|any ?town|lorem ipsum|test street|your street|n/?a)\b")


class BusinessForm(forms.ModelForm):
    """Who the sender is (rules ID-LEGAL-ENTITY, ID-POSTAL-VALID)."""

    country = forms.ChoiceField(label="Country", choices=[("", "Choose"), *COUNTRIES])

    class Meta:
        model = BusinessProfile
        fields: ClassVar = [
            "legal_name", "trade_name", "legal_form", "register_name", "register_number", "vat_number", "country",
            "address_kind", "street", "postal_code", "city", "region", "responsible_person", "contact_email",
            "contact_phone", "website",
        ]  # fmt: skip
        labels: ClassVar = {
            "legal_name": "Legal name",
            "trade_name": "Trade name or brand",
            "legal_form": "Legal form",
            "register_name": "Register",
            "register_number": "Number in the register",
            "vat_number": "VAT number",
            "address_kind": "Kind of address",
            "street": "Street and number",
            "postal_code": "Postal code",
            "city": "Town",
            "region": "Region or state",
            "responsible_person": "Responsible person",
            "contact_email": "Contact e-mail",
            "contact_phone": "Contact phone",
            "website": "Website",
        }
        help_texts: ClassVar = {
            "legal_name": "As it stands in the register, or your own name if you trade alone.",
            "trade_name": "If people know you by another name.",
            "legal_form": "Such as Ltd, GmbH, association, sole trader.",
            "register_name": "Such as Companies House, or the court that keeps it. Sole traders leave it empty.",
            "address_kind": "It stands in every message. Post has to reach you there.",
            "responsible_person": "Who answers for what is sent.",
            "website": "Where people find you and your imprint.",
        }
        field_classes: ClassVar = dict.fromkeys(
            ("legal_name", "trade_name", "legal_form", "register_name", "register_number", "vat_number", "street",
             "postal_code", "city", "region", "responsible_person", "contact_phone"),
            LineField,
        )  # fmt: skip
        widgets: ClassVar = {"address_kind": forms.RadioSelect}

    def clean_street(self) -> str:
        """Return the street unless it is a placeholder."""
        street: str = self.cleaned_data["street"]
        if _PLACEHOLDER.search(street):
            raise forms.ValidationError("Enter the address where post reaches you.")
        return street

    def clean(self) -> dict[str, Any]:
        """Check what hangs together: a register entry or a sole trader; a street in Germany and Austria."""
        data: dict[str, Any] = super().clean() or {}
        form = str(data.get("legal_form", "")).lower()
        if not data.get("register_number") and not any(
            word in form for word in ("sole", "self", "association", "charity")
        ):
            self.add_error("register_number", "Enter the number, or “sole trader” as legal form if you trade alone.")
        if data.get("country") in ("DE", "AT") and data.get("address_kind") not in (None, "street"):
            self.add_error("address_kind", "In Germany and Austria the law asks for a street address.")
        return data


class PracticeForm(forms.ModelForm):
    """How addresses are collected, in the sender's own words."""

    sources = forms.MultipleChoiceField(
        label="How do people get on your list?",
        choices=policy.COLLECTION_SOURCES,
        widget=forms.CheckboxSelectMultiple,
    )
    no_bought_lists = forms.BooleanField(
        label="No address was bought, rented, given by others or collected from pages",
        help_text="If one was, tell us: we help you to start without it, and hold nothing against you (rule 2.1).",
    )

    class Meta:
        model = CollectionPractice
        fields: ClassVar = [
            "sources", "page_url", "wording", "double_opt_in", "topics", "monthly_volume", "longest_list",
            "previous_provider", "no_bought_lists",
        ]  # fmt: skip
        labels: ClassVar = {
            "page_url": "Page with the form",
            "wording": "What people read when they say yes",
            "double_opt_in": "People confirm by a link in an e-mail",
            "topics": "What do you write about?",
            "monthly_volume": "Messages a month you expect",
            "longest_list": "People on the longest list you bring",
            "previous_provider": "Mail provider so far",
        }
        help_texts: ClassVar = {
            "page_url": "We look at it. Leave it empty if you collect on paper or in person only.",
            "wording": "Copy the words next to the box or the button, in the language they are shown in.",
            "double_opt_in": "Needed for people in Germany, Austria, and where we do not know the country.",
            "topics": "As you tell people when they sign up, such as “spring offers and garden tips, twice a month”.",
            "longest_list": "Empty if you start without one. A list as long as agreed here is not held for its length.",
        }
        field_classes: ClassVar = {"topics": LineField, "previous_provider": LineField}
        widgets: ClassVar = {"wording": forms.Textarea({"rows": "4"})}

    def clean_monthly_volume(self) -> int:
        """Return the volume; nothing expected needs no account."""
        volume: int = self.cleaned_data["monthly_volume"]
        if volume < 1:
            raise forms.ValidationError("Enter a number of messages, such as 2000.")
        return volume

    def clean_longest_list(self) -> int | None:
        """Return the length, None when they bring no list."""
        return self.cleaned_data["longest_list"] or None

    def clean(self) -> dict[str, Any]:
        """Ask for the page when a form or a checkout is named."""
        data: dict[str, Any] = super().clean() or {}
        if {"own_form", "checkout"} & set(data.get("sources") or ()) and not data.get("page_url"):
            self.add_error("page_url", "Enter the address of the page with your form or checkout.")
        return data


class SubmitForm(forms.Form):
    """Nothing to fill in: sending it asks staff to look."""
