"""Addresses of this app."""

from django.urls import URLPattern, path

from accounts.views import documents, domains, organizations, people, senders, team, verification

urlpatterns: list[URLPattern] = [
    path("account/second-factor/", people.second_factor, name="second_factor"),
    # One door for everybody: in front of the staff area's own, which would know no second factor and no limits.
    path("staff/login/", people.staff_door, name="staff_door"),
    path("invite/<str:token>/", team.invite_accept, name="invite_accept"),
    path("confirm/from/<str:token>/", senders.from_confirm, name="from_confirm"),
    path("portal/documents/", documents.accept, name="documents"),
    # organizations
    path("portal/new/", organizations.org_new, name="org_new"),
    path("portal/switch/<uuid:uid>/", organizations.org_switch, name="org_switch"),
    path("portal/o/<uuid:uid>/", organizations.org_page, {"path": ""}, name="org_home"),
    path("portal/o/<uuid:uid>/<path:path>", organizations.org_page, name="org_page"),
    path("portal/settings/", people.settings, name="settings"),
    path("portal/settings/close/", organizations.org_close, name="org_close"),
    path("portal/settings/data/", people.own_data, name="own_data"),
    path("portal/audit/", people.audit_log, name="audit"),
    # team
    path("portal/team/", team.team, name="team"),
    path("portal/team/invite/", team.team_invite, name="team_invite"),
    path("portal/team/leave/", team.team_leave, name="team_leave"),
    path("portal/team/invitations/<uuid:uid>/again/", team.invitation_again, name="invitation_again"),
    path("portal/team/invitations/<uuid:uid>/withdraw/", team.invitation_withdraw, name="invitation_withdraw"),
    path("portal/team/<uuid:uid>/", team.member_change, name="member_change"),
    path("portal/team/<uuid:uid>/transfer/", team.member_transfer, name="member_transfer"),
    path("portal/team/<uuid:uid>/remove/", team.member_remove, name="member_remove"),
    # verification
    path("portal/verify/", verification.verify, name="verify"),
    path("portal/verify/business/", verification.verify_business, name="verify_business"),
    path("portal/verify/practice/", verification.verify_practice, name="verify_practice"),
    path("portal/verify/submit/", verification.verify_submit, name="verify_submit"),
    path("portal/verify/more/", verification.verify_more, name="verify_more"),
    # domains and From addresses
    path("portal/domains/", domains.domains, name="domains"),
    path("portal/domains/add/", domains.domain_add, name="domain_add"),
    path("portal/domains/<uuid:uid>/", domains.domain_detail, name="domain_detail"),
    path("portal/domains/<uuid:uid>/records/", domains.domain_records, name="domain_records"),
    path("portal/domains/<uuid:uid>/check/", domains.domain_check, name="domain_check"),
    path("portal/domains/<uuid:uid>/mail/", domains.domain_mail, name="domain_mail"),
    path("portal/domains/<uuid:uid>/remove/", domains.domain_remove, name="domain_remove"),
    path("portal/domains/<uuid:uid>/from/", senders.from_add, name="from_add"),
    path("portal/from/<uuid:uid>/", senders.from_change, name="from_change"),
    path("portal/from/<uuid:uid>/again/", senders.from_again, name="from_again"),
    path("portal/from/<uuid:uid>/remove/", senders.from_remove, name="from_remove"),
]
