"""Enter the further columns of uploads so far into the register; a name that had two kinds counts as text."""

import unicodedata

from django.db import migrations

KINDS = ("field", "field_number", "field_date", "field_yes_no")


def enter(apps, schema_editor):
    """Enter each column under the spelling of its first upload."""
    alias = schema_editor.connection.alias
    jobs = apps.get_model("compliance", "ImportJob").objects.using(alias)
    register = apps.get_model("compliance", "ContactField").objects.using(alias)
    for job in jobs.exclude(state__in=["cancelled", "failed", "refused", "uploaded", "mapped"]).order_by("pk"):
        for index, kind in job.columns.get("targets", {}).items():
            if kind not in KINDS or not int(index) < len(job.header):
                continue
            name = job.header[int(index)]
            row, made = register.get_or_create(
                organization_id=job.organization_id,
                key=unicodedata.normalize("NFC", name.casefold()),
                defaults={"name": name, "kind": kind, "upload_id": job.pk},
            )
            if not made and row.kind != kind:
                register.filter(pk=row.pk).update(kind="field")


class Migration(migrations.Migration):
    dependencies = [("compliance", "0018_tags_and_segments")]

    operations = [migrations.RunPython(enter, migrations.RunPython.noop)]
