"""Planning writes two indexes less a person: both unique constraints begin with the campaign, nobody asks by sender.

Only the indexes go; the columns, their types and the reference stay, so the release before goes on as it is.
"""

import django.db.models.deletion
from django.db import migrations, models

INDEXES = {"campaign_id": "87e5668a", "organization_id": "10416d5f"}


def _drop(column: str) -> str:
    return f"DROP INDEX IF EXISTS campaigns_delivery_{column}_{INDEXES[column]}"


def _make(column: str) -> str:
    return f"CREATE INDEX campaigns_delivery_{column}_{INDEXES[column]} ON campaigns_delivery ({column})"


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0008_skeletons_backfill"),
        ("campaigns", "0018_approved_on"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(_drop(column), _make(column)) for column in INDEXES],
            state_operations=[
                migrations.AlterField(
                    model_name="delivery",
                    name="campaign",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="campaigns.campaign",
                    ),
                ),
                migrations.AlterField(
                    model_name="delivery",
                    name="organization",
                    field=models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="accounts.organization",
                    ),
                ),
            ],
        ),
    ]
