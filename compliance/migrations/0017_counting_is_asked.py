from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("compliance", "0016_what_a_statement_asks")]

    operations = [
        migrations.AddField("contact", "tracking_import", models.BigIntegerField(null=True)),
        migrations.AddField("signupform", "asks_names", models.BooleanField(default=False, db_default=False)),
        migrations.AddField("signupform", "asks_tracking", models.BooleanField(default=False, db_default=False)),
        migrations.AddField(
            "signup", "first_name", models.CharField(blank=True, default="", db_default="", max_length=120)
        ),
        migrations.AddField(
            "signup", "last_name", models.CharField(blank=True, default="", db_default="", max_length=120)
        ),
        migrations.AddField(
            "signup",
            "tracking_wording",
            models.CharField(blank=True, default="", db_default="", max_length=600),
        ),
    ]
