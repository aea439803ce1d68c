"""The two groups of staff, with their rights.

Rights are made here by name: Django itself makes them only after all migrations have run.
"""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

READ = {
    "accounts": ("organization", "auditentry", "verification"),
    "compliance": ("importjob",),
    "campaigns": ("campaign",),
    "abuse": ("case", "complaint", "appeal", "decision"),
}
DECIDE = {
    "accounts": ("verification",),
    "compliance": ("importjob",),
    "campaigns": ("campaign",),
    "abuse": ("case", "appeal"),
}
STAFF = (("accounts", "user", ("view", "change")), ("auth", "group", ("view",)))


def make(apps: Apps, schema: BaseDatabaseSchemaEditor) -> None:
    """Make both groups; administrators have what moderators have and manage staff."""
    group = apps.get_model("auth", "Group").objects.using(schema.connection.alias)
    rights = [_right(apps, schema, app, name, "view") for app, names in READ.items() for name in names]
    rights += [_right(apps, schema, app, name, "change") for app, names in DECIDE.items() for name in names]
    more = [_right(apps, schema, app, name, verb) for app, name, verbs in STAFF for verb in verbs]
    group.get_or_create(name="Moderators")[0].permissions.set(rights)
    group.get_or_create(name="Administrators")[0].permissions.set(rights + more)


def _right(apps: Apps, schema: BaseDatabaseSchemaEditor, app: str, model: str, verb: str) -> object:
    alias = schema.connection.alias
    kinds = apps.get_model("contenttypes", "ContentType").objects.using(alias)
    permissions = apps.get_model("auth", "Permission").objects.using(alias)
    kind, _ = kinds.get_or_create(app_label=app, model=model)
    words = f"Can {verb} {model}"
    return permissions.get_or_create(content_type=kind, codename=f"{verb}_{model}", defaults={"name": words})[0]


def unmake(apps: Apps, schema: BaseDatabaseSchemaEditor) -> None:
    """Take the groups away; the rights stay, Django owns them."""
    group = apps.get_model("auth", "Group").objects.using(schema.connection.alias)
    group.filter(name__in=["Moderators", "Administrators"]).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_platform_key"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]
    operations = [migrations.RunPython(make, unmake)]
