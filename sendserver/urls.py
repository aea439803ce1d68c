"""The site map: each app brings its own addresses."""

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

admin.autodiscover()  # here, so that processes without pages do not load it: see sendserver.staff.apps

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("sendserver.pages.urls")),
    path("", include("accounts.urls")),
    path("", include("compliance.urls")),
    path("", include("campaigns.urls")),
    path("", include("abuse.urls")),
    # The staff area's sign-in, staff/login/, is the portal's own: see accounts.urls.
    path("staff/", admin.site.urls),
    path("account/", include("allauth.urls")),
]
if settings.LOCAL_WORLD:
    urlpatterns.append(path("local/", include("sendserver.local.urls")))
