"""Addresses of this app."""

from django.urls import URLPattern, path

from abuse.views import portal, public

urlpatterns: list[URLPattern] = [
    path("transparency/", public.transparency, name="transparency"),
    path("abuse/", public.report, name="abuse"),
    path("abuse/inspect/", public.inspect, name="abuse_inspect"),
    path("abuse/thanks/", public.thanks, name="abuse_thanks"),
    path("abuse/find/", public.find, name="abuse_find"),
    path("abuse/t/<str:reference>/", public.status, name="abuse_status"),
    path("portal/standing/", portal.standing, name="standing"),
    path("portal/standing/<uuid:uid>/appeal/", portal.appeal, name="standing_appeal"),
    path("portal/appeals/<uuid:uid>/files/<int:pk>/", portal.appeal_file, name="appeal_file"),
    path("portal/cases/<str:reference>/", portal.case, name="abuse_case"),
]
