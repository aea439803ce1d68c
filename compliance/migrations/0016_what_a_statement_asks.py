import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_ledger"), ("compliance", "0015_list_exits")]

    operations = [
        migrations.SeparateDatabaseAndState(  # a word more; the column is as it was
            state_operations=[
                migrations.AlterField(
                    "suppression",
                    "reason",
                    models.CharField(
                        choices=[
                            ("unsubscribe", "Unsubscribed"),
                            ("complaint", "Complained"),
                            ("hard_bounce", "Address does not exist"),
                            ("soft_bounce", "Bounced again and again"),
                            ("objection", "Asked us to stop"),
                            ("staff", "By our staff"),
                            ("owner", "Added by the sender"),
                            ("pause", "Taking a break"),
                            ("brought", "Said no before you came here"),
                        ],
                        max_length=12,
                    ),
                ),
            ],
        ),
        migrations.AddField("importjob", "is_refused", models.BooleanField(default=False, db_default=False)),
        migrations.SeparateDatabaseAndState(  # takes more than before
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE compliance_proofrow ALTER COLUMN contact_id DROP NOT NULL",
                    migrations.RunSQL.noop,
                ),
            ],
            state_operations=[
                migrations.AlterField(
                    "proofrow",
                    "contact",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="compliance.contact",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SavedPage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("import_uid", models.UUIDField()),
                ("url", models.CharField(max_length=300)),
                ("at", models.DateTimeField()),
                ("final_url", models.CharField(blank=True, max_length=400)),
                ("media_type", models.CharField(blank=True, max_length=40)),
                ("size", models.PositiveIntegerField(default=0)),
                ("sha256", models.BinaryField(max_length=32, null=True)),
                ("problem", models.CharField(blank=True, max_length=200)),
                (
                    "organization",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="accounts.organization",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=["import_uid", "url"], name="saved_page_once")],
            },
        ),
    ]
