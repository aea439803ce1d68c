"""Tags that an organization gives its people, and the kinds of its further columns."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models

from accounts.models import Organization
from accounts.tenancy import OrgQuerySet
from compliance.models.lists import Contact, ContactList


class Tag(models.Model):
    """A word that an organization files people under. `key` is the name as compared: "VIP" and "vip" are one tag."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="tags", db_index=False)
    name = models.CharField(max_length=60)
    key = models.CharField(max_length=200)
    people_count = models.PositiveIntegerField(default=0, db_default=0)  # kept by compliance.tags after each change
    # The upload that brought the word; taken back, an unused word goes with it. No key: uploads are never deleted.
    upload_id = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = OrgQuerySet["Tag"].as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "key"], name="tag_once_per_organization")
        ]

    def __str__(self) -> str:
        return self.name


class ContactTag(models.Model):
    """A tag of a person, one row for each that gave it: an upload, or a person's hand (`upload` 0).

    Somebody has a tag while a row stands, so that an upload taken back takes its own rows and nobody else's. The
    database deletes rows with their tag and their person (the constraints are made in the migration): people are
    deleted by SQL of our own.
    """

    pk = models.CompositePrimaryKey("tag_id", "contact_id", "upload")
    tag = models.ForeignKey(Tag, models.DO_NOTHING, related_name="given", db_constraint=False, db_index=False)
    contact = models.ForeignKey(Contact, models.DO_NOTHING, related_name="tagged", db_constraint=False)
    upload = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["upload"], condition=models.Q(upload__gt=0), name="contact_tag_by_upload")
        ]

    def __str__(self) -> str:
        return f"{self.tag_id} of {self.contact_id}"


class TagOrder(models.Model):
    """A tag to be given to, or taken from, everybody on a list; a worker does it piece by piece."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    tag = models.ForeignKey(Tag, models.CASCADE, related_name="orders")
    contact_list = models.ForeignKey(ContactList, models.CASCADE, related_name="+")
    gives = models.BooleanField()
    place = models.BigIntegerField(default=0)  # the last membership that is done
    last = models.BigIntegerField()  # the last membership there was when it was ordered
    ordered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    ordered_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["id"], condition=models.Q(done_at=None), name="tag_order_open")]

    def __str__(self) -> str:
        return f"{'give' if self.gives else 'take'} {self.tag_id}"


class ContactField(models.Model):
    """A further column of an organization's people, with the one kind that uploads must keep to."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="fields", db_index=False)
    name = models.CharField(max_length=60)  # the key in Contact.fields
    key = models.CharField(max_length=200)  # the name as compared
    kind = models.CharField(max_length=12)  # compliance.imports.kinds
    upload_id = models.BigIntegerField(null=True)  # that brought it
    created_at = models.DateTimeField(auto_now_add=True)

    objects = OrgQuerySet["ContactField"].as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "key"], name="field_once_per_organization")
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"
