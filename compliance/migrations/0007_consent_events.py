"""Steps of one person's consent, chained."""

import django.db.models.deletion
import uuid
from django.db import migrations, models

from sendserver.lib.appendonly import ledgered, protect, protect_side


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_ledger"),
        ("compliance", "0006_ledger"),
    ]

    operations = [
        migrations.CreateModel(
            name="ConsentEventPerson",
            fields=[
                ("event_uid", models.UUIDField(primary_key=True, serialize=False)),
                ("salt", models.BinaryField(max_length=16)),
                ("address", models.CharField(max_length=254)),
                ("network", models.CharField(blank=True, max_length=45)),
                ("user_agent", models.CharField(blank=True, max_length=300)),
                ("source", models.CharField(blank=True, max_length=400)),
                ("wording", models.TextField(blank=True)),
                ("mail", models.TextField(blank=True)),
            ],
        ),
        migrations.CreateModel(
            name="ConsentEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("list_uid", models.UUIDField(null=True)),
                ("contact_uid", models.UUIDField()),
                ("address_hash", models.BinaryField(max_length=32)),
                ("key_id", models.CharField(max_length=8)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("requested", "Signed up"),
                            ("confirmed", "Confirmed by link"),
                            ("recorded", "Recorded by the sender"),
                            ("track_given", "Agreed to counting opens and clicks"),
                            ("track_off", "Withdrew counting opens and clicks"),
                        ],
                        max_length=12,
                    ),
                ),
                ("basis", models.CharField(blank=True, max_length=24)),
                ("at", models.DateTimeField()),
                ("recorded_at", models.DateTimeField()),
                ("actor_uid", models.UUIDField(null=True)),
                ("request_uid", models.UUIDField(null=True)),
                ("wording_sha256", models.BinaryField(max_length=32)),
                ("mail_sha256", models.BinaryField(blank=True, max_length=32)),
                ("person_commitment", models.BinaryField(max_length=32)),
                ("previous_hash", models.BinaryField(max_length=32)),
                ("record_hash", models.BinaryField(max_length=32, unique=True)),
                (
                    "organization",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="consent_events",
                        to="accounts.organization",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["contact_uid", "id"], name="consent_event_by_contact"),
                    models.Index(fields=["address_hash", "id"], name="consent_event_by_address"),
                ],
            },
        ),
        protect("compliance_consentevent"),
        protect_side("compliance_consenteventperson"),
        ledgered("compliance_consentevent"),
    ]
