"""Makes our staff site the default AdminSite, so that every app registers with it.

The registering itself is in sendserver.urls: lanes and other workers have no pages and need not carry them.
"""

from django.contrib.admin.apps import SimpleAdminConfig


class StaffConfig(SimpleAdminConfig):
    """django.contrib.admin with our site."""

    default_site = "sendserver.staff.site.StaffSite"
