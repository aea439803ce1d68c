"""Enter the evidence of this app into the ledger."""

from django.db import migrations

from sendserver.lib.appendonly import ledgered, protect_side


class Migration(migrations.Migration):
    dependencies = [("compliance", "0005_first_import"), ("accounts", "0005_ledger")]

    operations = [
        ledgered("compliance_attestation"),
        ledgered("compliance_verdict"),
        protect_side("compliance_attestationperson"),
    ]
