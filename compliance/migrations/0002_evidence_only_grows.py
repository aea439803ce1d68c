"""Evidence is append-only in the database itself."""

from django.db import migrations

from sendserver.lib.appendonly import protect


class Migration(migrations.Migration):
    dependencies = [("compliance", "0001_initial")]

    operations = [
        protect("compliance_attestation"),
        protect("compliance_verdict"),
    ]
