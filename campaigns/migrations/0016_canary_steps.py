from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0015_link_requests")]

    operations = [
        migrations.AddField("canary", "steps", ArrayField(models.PositiveIntegerField(), default=list, db_default=[])),
        migrations.AddField("canary", "step", models.PositiveSmallIntegerField(default=0, db_default=0)),
    ]
