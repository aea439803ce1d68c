"""A membership's two references to uploads are no longer checked by the database row by row, nor indexed where unasked.

Uploads are never deleted, and whoever writes a membership holds the lock of its upload. Only a check and an index go;
the columns stay as they are, so the release before goes on.
"""

import django.db.models.deletion
from django.db import migrations, models

_WITHOUT = """DO $$ DECLARE reference name; BEGIN
  FOR reference IN SELECT conname FROM pg_constraint
      WHERE conrelid = 'compliance_listmembership'::regclass AND contype = 'f'
        AND confrelid = 'compliance_importjob'::regclass
  LOOP EXECUTE format('ALTER TABLE compliance_listmembership DROP CONSTRAINT %I', reference); END LOOP;
END $$"""
_WITH = """ALTER TABLE compliance_listmembership
  ADD CONSTRAINT compliance_listmembe_import_job_id_49b24a12_fk_complianc FOREIGN KEY (import_job_id)
    REFERENCES compliance_importjob (id) DEFERRABLE INITIALLY DEFERRED,
  ADD CONSTRAINT compliance_listmembe_first_import_id_7cd3c5f0_fk_complianc FOREIGN KEY (first_import_id)
    REFERENCES compliance_importjob (id) DEFERRABLE INITIALLY DEFERRED"""
_INDEX = "compliance_listmembership_first_import_id_7cd3c5f0"


class Migration(migrations.Migration):
    dependencies = [
        ("compliance", "0020_kept_counts"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(_WITHOUT, _WITH),
                migrations.RunSQL(
                    f"DROP INDEX IF EXISTS {_INDEX}",
                    f"CREATE INDEX {_INDEX} ON compliance_listmembership (first_import_id)",
                ),
            ],
            state_operations=[
                migrations.AlterField(
                    model_name="listmembership",
                    name="import_job",
                    field=models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="memberships",
                        to="compliance.importjob",
                    ),
                ),
                migrations.AlterField(
                    model_name="listmembership",
                    name="first_import",
                    field=models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="compliance.importjob",
                    ),
                ),
            ],
        ),
    ]
