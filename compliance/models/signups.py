"""Sign-up forms of lists, and each sign-up with both of its steps."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from accounts.models import Organization
from accounts.tenancy import OrgQuerySet
from compliance.models.lists import ContactList


class SignupForm(models.Model):
    """The form of one list. Who signs up confirms by a link; there is no other way onto the list by a form."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="signup_forms")
    contact_list = models.OneToOneField(ContactList, models.CASCADE, related_name="signup_form")
    title = models.CharField(max_length=120)
    wording = models.CharField(max_length=600)  # what people agree to, shown beside the button
    asks_names = models.BooleanField(default=False, db_default=False)
    asks_tracking = models.BooleanField(
        default=False, db_default=False
    )  # a box of its own, empty, compliance.tracking_consent
    is_open = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = OrgQuerySet["SignupForm"].as_manager()

    def __str__(self) -> str:
        return self.title


class Signup(models.Model):
    """One request to be on a list: who asked when, from which network, what they read, what we mailed, the yes."""

    form = models.ForeignKey(SignupForm, models.CASCADE, related_name="signups")
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    address = models.CharField(max_length=254)
    address_hash = models.BinaryField(max_length=32)
    wording = models.CharField(max_length=600)
    first_name = models.CharField(max_length=120, blank=True, default="", db_default="")
    last_name = models.CharField(max_length=120, blank=True, default="", db_default="")
    # The words beside the box for counting that they ticked; "": not ticked.
    tracking_wording = models.CharField(max_length=600, blank=True, default="", db_default="")
    asked_at = models.DateTimeField()
    asked_from = models.CharField(max_length=49)  # network prefix
    worked = models.BooleanField()  # with proof of work, not by the slower path
    mail = models.TextField()  # subject and text of the confirmation mail, without its link's token
    confirmed_at = models.DateTimeField(null=True)
    confirmed_from = models.CharField(max_length=49, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["address_hash", "form"], name="signup_by_address")]

    def __str__(self) -> str:
        return f"sign-up {self.pk}"
