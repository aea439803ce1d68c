"""Addresses of the pages that belong to nobody."""

from django.urls import path

from sendserver.pages import ledger, portal, views

urlpatterns = [
    path("", views.home, name="home"),
    path("about/", views.about, name="about"),
    path("privacy/", views.privacy, name="privacy"),
    path("terms/", views.terms, name="terms"),
    path("terms/processing/", views.dpa, name="dpa"),
    path("terms/<slug:slug>/<slug:version>/", views.paper_version, name="paper_version"),
    path("anti-spam/", views.anti_spam, name="anti_spam"),
    path("anti-spam/v<int:version>/", views.anti_spam, name="anti_spam_version"),
    path("postmaster/", views.postmaster, name="postmaster"),
    path("postmaster.json", views.postmaster_json, name="postmaster_json"),
    path("rules/", views.rules, name="rules"),
    path("help/", views.help_page, name="help"),
    path("help/sent/", views.help_sent, name="help_sent"),
    path("status/", views.status, name="status"),
    path("stats/", views.stats, name="stats"),
    path("ledger/", ledger.ledger, name="ledger"),
    path("ledger.jsonl", ledger.ledger_lines, name="ledger_lines"),
    path(".well-known/security.txt", views.security_txt, name="security_txt"),
    path("robots.txt", views.robots, name="robots"),
    path("portal/", portal.home, name="portal_home"),
    path("portal/now/", portal.sending_now, name="portal_now"),
    path("healthz", views.healthz, name="healthz"),
    path("healthz/sending", views.healthz_sending, name="healthz_sending"),
]
