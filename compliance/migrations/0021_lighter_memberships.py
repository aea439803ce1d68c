"""An upload pays for less a row: no reference nor index for the first upload, sign-ups indexed where there are any."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("compliance", "0020_kept_counts"),
    ]

    operations = [
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
        migrations.AlterField(
            model_name="listmembership",
            name="signup",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="memberships",
                to="compliance.signup",
            ),
        ),
        migrations.AddIndex(
            model_name="listmembership",
            index=models.Index(
                condition=models.Q(("signup__isnull", False)), fields=["signup"], name="membership_by_signup"
            ),
        ),
    ]
