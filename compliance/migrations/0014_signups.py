"""Sign-up forms, sign-ups, and the sign-up behind a membership."""

import uuid

from django.db import migrations, models

KEY = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")


class Migration(migrations.Migration):
    dependencies = [("compliance", "0013_retention"), ("accounts", "0004_staff_groups")]

    operations = [
        migrations.CreateModel(
            name="SignupForm",
            fields=[
                ("id", KEY.clone()),
                ("uid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("title", models.CharField(max_length=120)),
                ("wording", models.CharField(max_length=600)),
                ("is_open", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "contact_list",
                    models.OneToOneField(
                        on_delete=models.CASCADE, related_name="signup_form", to="compliance.contactlist"
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=models.CASCADE, related_name="signup_forms", to="accounts.organization"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Signup",
            fields=[
                ("id", KEY.clone()),
                ("address", models.CharField(max_length=254)),
                ("address_hash", models.BinaryField(max_length=32)),
                ("wording", models.CharField(max_length=600)),
                ("asked_at", models.DateTimeField()),
                ("asked_from", models.CharField(max_length=49)),
                ("worked", models.BooleanField()),
                ("mail", models.TextField()),
                ("confirmed_at", models.DateTimeField(null=True)),
                ("confirmed_from", models.CharField(blank=True, max_length=49)),
                (
                    "form",
                    models.ForeignKey(on_delete=models.CASCADE, related_name="signups", to="compliance.signupform"),
                ),
                (
                    "organization",
                    models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="accounts.organization"),
                ),
            ],
            options={"indexes": [models.Index(fields=["address_hash", "form"], name="signup_by_address")]},
        ),
        migrations.AddField(
            "listmembership",
            "signup",
            models.ForeignKey(null=True, on_delete=models.SET_NULL, related_name="memberships", to="compliance.signup"),
        ),
    ]
