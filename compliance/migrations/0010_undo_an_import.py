"""What undo needs; and three indexes that others begin with, or that a better one replaces.

Nothing that the release before uses goes: a state more is no change in the database, and a lookup finds the index that
begins with the same column.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_staff_groups"),
        ("compliance", "0009_provenance"),
    ]

    operations = [
        migrations.CreateModel(
            name="ImportBefore",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("first_name", models.CharField(max_length=120)),
                ("last_name", models.CharField(max_length=120)),
                ("country", models.CharField(max_length=2)),
                ("fields", models.JSONField()),
                ("updated_at", models.DateTimeField()),
                ("touched_at", models.DateTimeField()),
                ("row_consent_at", models.DateTimeField(null=True)),
                ("row_confirmed_at", models.DateTimeField(null=True)),
                ("membership", models.JSONField(null=True)),
            ],
        ),
        migrations.AddField(
            model_name="importjob",
            name="settled_count",
            field=models.PositiveIntegerField(default=0, db_default=0),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[  # DROP INDEX
                migrations.AlterField(
                    model_name="contact",
                    name="organization",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="contacts",
                        to="accounts.organization",
                    ),
                ),
            ],
            state_operations=[
                migrations.AlterField(
                    model_name="contact",
                    name="organization",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="contacts",
                        to="accounts.organization",
                    ),
                ),
            ],
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="importjob",
                    name="state",
                    field=models.CharField(
                        choices=[
                            ("uploaded", "File received"),
                            ("mapped", "Columns chosen"),
                            ("answered", "Statement answered"),
                            ("queued", "Waiting to be read"),
                            ("reading", "Reading rows"),
                            ("held", "With our staff"),
                            ("done", "Done"),
                            ("failed", "Could not be read"),
                            ("refused", "Refused"),
                            ("undoing", "Being taken back"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="uploaded",
                        max_length=10,
                    ),
                ),
            ]
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[  # DROP INDEX
                migrations.AlterField(
                    model_name="listmembership",
                    name="contact_list",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to="compliance.contactlist",
                    ),
                ),
            ],
            state_operations=[
                migrations.AlterField(
                    model_name="listmembership",
                    name="contact_list",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to="compliance.contactlist",
                    ),
                ),
            ],
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[  # DROP INDEX
                migrations.AlterField(
                    model_name="listmembership",
                    name="import_job",
                    field=models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="memberships",
                        to="compliance.importjob",
                    ),
                ),
            ],
            state_operations=[
                migrations.AlterField(
                    model_name="listmembership",
                    name="import_job",
                    field=models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="memberships",
                        to="compliance.importjob",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="listmembership",
            index=models.Index(fields=["import_job", "id"], name="membership_by_import"),
        ),
        migrations.AddField(
            model_name="importbefore",
            name="contact",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="compliance.contact"
            ),
        ),
        migrations.AddField(
            model_name="importbefore",
            name="job",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="before", to="compliance.importjob"
            ),
        ),
        migrations.AddConstraint(
            model_name="importbefore",
            constraint=models.UniqueConstraint(fields=("job", "contact"), name="import_before_once"),
        ),
    ]
