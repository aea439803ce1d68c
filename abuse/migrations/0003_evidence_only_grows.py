"""Evidence is append-only in the database itself."""

from django.db import migrations

from sendserver.lib.appendonly import protect


class Migration(migrations.Migration):
    dependencies = [("abuse", "0002_moderation")]

    operations = [
        protect("abuse_caseentry"),
        protect("abuse_decision"),
    ]
