"""The segment of a campaign, and the bounces of before, which segments ask for."""

import django.db.models.deletion
from django.db import migrations, models


BOUNCES = """
INSERT INTO compliance_contactbounce (contact_id, at)
SELECT c.id, max(e.at) FROM campaigns_event e
JOIN campaigns_delivery d ON d.id = e.delivery_id
JOIN compliance_contact c ON c.id = d.contact_id AND c.address_hash = d.address_hash
WHERE e.kind = 'bounced' GROUP BY c.id
ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0016_canary_steps"),
        ("compliance", "0019_kinds_of_columns"),
    ]

    operations = [
        migrations.AddField(
            model_name="campaign",
            name="segment",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.RESTRICT,
                related_name="+",
                to="compliance.segment",
            ),
        ),
        migrations.RunSQL(BOUNCES, migrations.RunSQL.noop),
    ]
