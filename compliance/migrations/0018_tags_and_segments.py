"""Tags, kinds of further columns, segments."""

import django.db.models.deletion
import django.db.models.functions.text
import uuid
from django.conf import settings
from django.db import migrations, models


# People are deleted by SQL of our own (an undone upload), so the database itself lets their tags go with them.
CONSTRAINTS = """
ALTER TABLE compliance_contacttag
  ADD CONSTRAINT contact_tag_of_tag FOREIGN KEY (tag_id) REFERENCES compliance_tag ON DELETE CASCADE,
  ADD CONSTRAINT contact_tag_of_contact FOREIGN KEY (contact_id) REFERENCES compliance_contact ON DELETE CASCADE;
ALTER TABLE compliance_contactbounce
  ADD CONSTRAINT bounce_of_contact FOREIGN KEY (contact_id) REFERENCES compliance_contact ON DELETE CASCADE
"""
WITHOUT = """
ALTER TABLE compliance_contacttag DROP CONSTRAINT contact_tag_of_tag, DROP CONSTRAINT contact_tag_of_contact;
ALTER TABLE compliance_contactbounce DROP CONSTRAINT bounce_of_contact
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_ledger"),
        ("compliance", "0017_counting_is_asked"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ContactBounce",
            fields=[
                (
                    "contact",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="compliance.contact",
                    ),
                ),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Tag",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("name", models.CharField(max_length=60)),
                ("key", models.CharField(max_length=200)),
                ("people_count", models.PositiveIntegerField(db_default=0, default=0)),
                ("upload_id", models.BigIntegerField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tags",
                        to="accounts.organization",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ContactTag",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tag_id", "contact_id", "upload", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("upload", models.BigIntegerField(db_default=0, default=0)),
                (
                    "contact",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="tagged",
                        to="compliance.contact",
                    ),
                ),
                (
                    "tag",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="given",
                        to="compliance.tag",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="TagOrder",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("gives", models.BooleanField()),
                ("place", models.BigIntegerField(default=0)),
                ("last", models.BigIntegerField()),
                ("ordered_at", models.DateTimeField()),
                ("done_at", models.DateTimeField(null=True)),
                (
                    "contact_list",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="compliance.contactlist"
                    ),
                ),
                (
                    "ordered_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.organization"
                    ),
                ),
                (
                    "tag",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="orders", to="compliance.tag"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ContactField",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("name", models.CharField(max_length=60)),
                ("key", models.CharField(max_length=200)),
                ("kind", models.CharField(max_length=12)),
                ("upload_id", models.BigIntegerField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="fields",
                        to="accounts.organization",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("organization", "key"), name="field_once_per_organization")
                ],
            },
        ),
        migrations.CreateModel(
            name="Segment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("name", models.CharField(max_length=120)),
                ("conditions", models.JSONField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("deleted_at", models.DateTimeField(null=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="segments", to="accounts.organization"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("organization"),
                        django.db.models.functions.text.Lower("name"),
                        condition=models.Q(("deleted_at", None)),
                        name="segment_once_by_name",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SegmentCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.BinaryField(max_length=32)),
                ("conditions", models.JSONField()),
                ("asked_at", models.DateTimeField()),
                ("begun_at", models.DateTimeField(null=True)),
                ("counted_at", models.DateTimeField(null=True)),
                ("took", models.FloatField(null=True)),
                ("people", models.PositiveIntegerField(default=0)),
                ("mailable", models.PositiveIntegerField(default=0)),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.organization",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("organization", "digest"), name="segment_count_once")],
            },
        ),
        migrations.AddConstraint(
            model_name="tag",
            constraint=models.UniqueConstraint(fields=("organization", "key"), name="tag_once_per_organization"),
        ),
        migrations.AddIndex(
            model_name="contacttag",
            index=models.Index(condition=models.Q(("upload__gt", 0)), fields=["upload"], name="contact_tag_by_upload"),
        ),
        migrations.AddIndex(
            model_name="tagorder",
            index=models.Index(condition=models.Q(("done_at", None)), fields=["id"], name="tag_order_open"),
        ),
        migrations.RunSQL(CONSTRAINTS, WITHOUT),
    ]
