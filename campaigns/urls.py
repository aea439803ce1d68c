"""Addresses of this app."""

from django.urls import URLPattern, path

from campaigns.views import click, edit, index, own, people, progress, recipients, report, review, unsubscribe, why

_ONE = "portal/campaigns/<uuid:uid>"
urlpatterns: list[URLPattern] = [
    path("portal/campaigns/", index.index, name="campaigns"),
    path("portal/campaigns/new/", index.new, name="campaign_new"),
    path(f"{_ONE}/edit/", edit.edit, name="campaign_edit"),
    path(f"{_ONE}/preview/", edit.preview, name="campaign_preview"),
    path(f"{_ONE}/checks/", edit.checks, name="campaign_checks"),
    path(f"{_ONE}/test/", edit.test, name="campaign_test"),
    path(f"{_ONE}/review/", review.review, name="campaign_review"),
    path(f"{_ONE}/progress/", progress.progress, name="campaign_progress"),
    path(f"{_ONE}/pause/", progress.pause, name="campaign_pause"),
    path(f"{_ONE}/resume/", progress.resume, name="campaign_resume"),
    path(f"{_ONE}/stop/", progress.stop, name="campaign_stop"),
    path(f"{_ONE}/report/", report.report, name="campaign_report"),
    path(f"{_ONE}/people/", recipients.people, name="campaign_people"),
    path(f"{_ONE}/people/<uuid:contact>/", recipients.person, name="campaign_person"),
    path(f"{_ONE}/copy/", index.copy, name="campaign_copy"),
    path("portal/people/<uuid:uid>/erase/", people.contact_erase, name="contact_erase"),
    path("portal/people/<uuid:uid>/proof/", people.contact_proof, name="contact_proof"),
    # For people who got a mail: no account, the token is the permission.
    path("u/", unsubscribe.lost_link, name="lost_link"),
    path("u/<slug:token>/", unsubscribe.unsubscribe, name="unsubscribe"),
    path("u/<slug:token>/undo/", unsubscribe.undo, name="unsubscribe_undo"),
    path("p/<slug:token>/", unsubscribe.preferences, name="preferences"),
    path("p/<slug:token>/copy/", own.own_copy, name="own_copy"),
    path("p/<slug:token>/erase/", own.own_erase_ask, name="own_erase_ask"),
    path("erase/<slug:token>/", own.own_erase, name="own_erase"),
    path("why/<slug:token>/", why.why, name="why"),
    path("c/<slug:token>/<int:number>/", click.click, name="click"),
]
