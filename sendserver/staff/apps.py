"""Makes our staff site the default AdminSite, so that every app registers with it."""

from django.contrib.admin.apps import AdminConfig


class StaffConfig(AdminConfig):
    """django.contrib.admin with our site."""

    default_site = "sendserver.staff.site.StaffSite"
