from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0012_alarms")]

    operations = [
        migrations.AddIndex(
            "outcome",
            models.Index(
                fields=["campaign_id", "id"], condition=~models.Q(state="accepted"), name="outcome_not_accepted"
            ),
        ),
    ]
