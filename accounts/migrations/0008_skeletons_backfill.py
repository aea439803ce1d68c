"""Write the skeleton of domains that are there; `resembles` stays empty: staff read them when they were verified."""

from django.db import migrations

from accounts.lookalikes import label_of, skeleton


def write_skeletons(apps, schema_editor):
    # The migrating role's connection: any other one would wait for this transaction.
    rows = apps.get_model("accounts", "SendingDomain").objects.using(schema_editor.connection.alias)
    for pk, name in list(rows.filter(skeleton="").values_list("pk", "name")):
        rows.filter(pk=pk).update(skeleton=skeleton(label_of(name)))


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_lookalikes"),
    ]

    operations = [
        migrations.RunPython(write_skeletons, migrations.RunPython.noop),
    ]
