"""Evidence is append-only in the database itself."""

from django.db import migrations

from sendserver.lib.appendonly import protect


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [
        protect("accounts_auditentry"),
        protect("accounts_termsacceptance"),
        protect("accounts_standingchange"),
    ]
