"""The site map with the local world in it, as settings with LOCAL_WORLD=on have it."""

from django.urls import URLPattern, URLResolver, include, path

from sendserver.urls import urlpatterns as portal

urlpatterns: list[URLPattern | URLResolver] = [*portal, path("local/", include("sendserver.local.urls"))]
