"""Addresses of the local world, below /local/."""

from django.urls import URLPattern, path
from django.views.generic import RedirectView

from sendserver.local import views

urlpatterns: list[URLPattern] = [
    path("", RedirectView.as_view(pattern_name="local_outbox"), name="local"),
    path("outbox/", views.outbox_page, name="local_outbox"),
    path("outbox/list/", views.outbox_list, name="local_list"),
    path("outbox/empty/", views.empty, name="local_empty"),
    path("outbox/<slug:queue_id>/", views.outbox_page, name="local_message"),
    path("outbox/<slug:queue_id>/frame/", views.frame, name="local_frame"),
    path("outbox/<slug:queue_id>/mail.eml", views.eml, name="local_eml"),
    path("outbox/<slug:queue_id>/react/", views.react, name="local_react"),
    path("people/", views.people, name="local_people"),
    path("relays/", views.relays, name="local_relays"),
    path("names/", views.names_page, name="local_names"),
    path("names/publish/", views.publish, name="local_publish"),
    path("names/withdraw/", views.withdraw, name="local_withdraw"),
]
