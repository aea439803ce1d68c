"""The site map: each app brings its own addresses."""

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("sendserver.pages.urls")),
    path("", include("accounts.urls")),
    path("", include("compliance.urls")),
    path("", include("campaigns.urls")),
    path("", include("abuse.urls")),
    # One door for everybody: the staff area uses the portal's own sign-in with its second factor and limits.
    path("staff/login/", RedirectView.as_view(pattern_name="account_login", query_string=True)),
    path("staff/", admin.site.urls),
    path("account/", include("allauth.urls")),
]
if settings.LOCAL_WORLD:
    urlpatterns.append(path("local/", include("sendserver.local.urls")))
