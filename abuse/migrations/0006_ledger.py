"""Enter the evidence of this app into the ledger."""

from django.db import migrations

from sendserver.lib.appendonly import ledgered


class Migration(migrations.Migration):
    dependencies = [("abuse", "0005_appeal_ground"), ("accounts", "0005_ledger")]

    operations = [
        ledgered("abuse_decision"),
    ]
