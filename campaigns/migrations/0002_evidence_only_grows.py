"""Evidence is append-only in the database itself."""

from django.db import migrations

from sendserver.lib.appendonly import protect


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0001_initial")]

    operations = [
        protect("campaigns_snapshot"),
        protect("campaigns_outcome"),
        protect("campaigns_event"),
    ]
