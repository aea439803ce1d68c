"""Every portal page of accounts: who gets in, wrong methods, strangers, bad input, and that it works."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from uuid import uuid4

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core import mail
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks
from pytest_django import Settings as SettingsWrapper

from accounts import domains, invitations, notices, policy, senders, verification
from accounts.errors import TooManyError
from accounts.models import (
    AuditEntry,
    FromAddress,
    Invitation,
    Membership,
    Organization,
    Role,
    SendingDomain,
    User,
    Verification,
)
from accounts.tests.test_domains import _world, key_pairs  # noqa: F401 (fixtures: real keys made once, letters kept)
from accounts.tests.test_verification import add_domain, add_practice, add_profile
from sendserver.lib import clock
from sendserver.testing.personas import Persona, join, make_user, sign_in, use_second_factor

pytestmark = pytest.mark.django_db


@pytest.fixture
def domain(larkfield: Organization, alice: Persona) -> SendingDomain:
    """Return a domain of Larkfield."""
    return domains.add(larkfield, "larkfield.example", actor=alice.user)


@pytest.fixture
def sender(domain: SendingDomain, alice: Persona) -> FromAddress:
    """Return a From address of Larkfield."""
    return senders.add(domain, display_name="Larkfield", local_part="news", reply_to="", actor=alice.user)


@pytest.fixture
def invitation(larkfield: Organization, alice: Persona) -> Invitation:
    """Return an open invitation."""
    return invitations.invite(larkfield, email="may@larkfield.example", role=Role.EDITOR, actor=alice.user)


# (URL name, what fills its argument, GET answers of owner, manager, editor, viewer)
READ = [
    ("team", "", (200, 200, 200, 200)),
    ("settings", "", (200, 200, 200, 200)),
    ("org_close", "", (200, 403, 403, 403)),
    ("audit", "", (200, 403, 403, 403)),
    ("verify", "", (200, 200, 200, 200)),
    ("verify_business", "", (200, 403, 403, 403)),
    ("verify_practice", "", (200, 403, 403, 403)),
    ("domains", "", (200, 200, 200, 200)),
    ("domain_add", "", (200, 200, 403, 403)),
    ("domain_detail", "domain", (200, 200, 200, 200)),
    ("domain_records", "domain", (200, 200, 200, 200)),
    ("from_add", "domain", (200, 200, 403, 403)),
    ("from_change", "sender", (200, 200, 403, 403)),
    ("member_change", "member", (200, 403, 403, 403)),
]
# (URL name, argument, may the manager, the editor)
ACT = [
    ("own_data", "", True, True),
    ("team_invite", "", False, False),
    ("invitation_again", "invitation", False, False),
    ("invitation_withdraw", "invitation", False, False),
    ("member_transfer", "member", False, False),
    ("member_remove", "member", False, False),
    ("verify_submit", "", False, False),
    ("verify_more", "", False, False),
    ("domain_check", "domain", True, False),
    ("domain_mail", "domain", True, False),
    ("domain_remove", "domain", True, False),
    ("from_again", "sender", True, False),
    ("from_remove", "sender", True, False),
]


def address(name: str, kind: str, request: pytest.FixtureRequest) -> str:
    """Return the page's address, its argument taken from the fixture of that kind."""
    if not kind:
        return reverse(name)
    row = request.getfixturevalue("victor").user if kind == "member" else request.getfixturevalue(kind)
    return reverse(name, args=[row.uid])


@pytest.mark.parametrize(("name", "kind", "codes"), READ)
def test_reading_by_role(
    request: pytest.FixtureRequest, alice: Persona, bob: Persona, eve: Persona, victor: Persona,
    name: str, kind: str, codes: tuple[int, ...],
) -> None:  # fmt: skip
    """Owner, manager, editor, viewer."""
    url = address(name, kind, request)
    assert tuple(p.client.get(url).status_code for p in (alice, bob, eve, victor)) == codes


@pytest.mark.parametrize(("name", "kind", "manager", "editor"), ACT)
def test_acting_without_the_right_is_refused(
    request: pytest.FixtureRequest, bob: Persona, eve: Persona, victor: Persona,
    name: str, kind: str, *, manager: bool, editor: bool,
) -> None:  # fmt: skip
    """403 for a member who may not."""
    url = address(name, kind, request)
    refused = [(bob, manager), (eve, editor), (victor, editor)]
    for persona, may in refused:
        if not may:
            assert persona.client.post(url).status_code == 403, persona.user
    if kind:
        assert request.getfixturevalue("victor").user.memberships.exists()


@pytest.mark.parametrize(("name", "kind"), [entry[:2] for entry in [*READ, *ACT]])
def test_visitors_are_sent_to_sign_in(request: pytest.FixtureRequest, name: str, kind: str) -> None:
    """Whatever the method."""
    url = address(name, kind, request)
    for answer in (Client().get(url), Client().post(url)):
        if answer.status_code != 405:
            assert (answer.status_code, answer["Location"]) == (302, f"/account/login/?next={url}")


@pytest.mark.parametrize(("name", "kind"), [e[:2] for e in [*READ, *ACT] if e[1]])
def test_strangers_find_nothing(request: pytest.FixtureRequest, mallory: Persona, name: str, kind: str) -> None:
    """404, as for an id that does not exist, for GET and POST alike."""
    url = address(name, kind, request)
    unknown = reverse(name, args=[uuid4()])
    method = mallory.client.post if name in {e[0] for e in ACT} else mallory.client.get
    assert method(url).status_code == 404
    assert method(unknown).status_code == 404


@pytest.mark.parametrize(("name", "kind"), [entry[:2] for entry in ACT])
def test_acts_are_post_only(request: pytest.FixtureRequest, alice: Persona, name: str, kind: str) -> None:
    """A followed link changes nothing."""
    assert alice.client.get(address(name, kind, request)).status_code == 405


def test_the_team_page_costs_the_same_for_one_and_for_three(
    alice: Persona, larkfield: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """No query a member."""
    alice.client.get("/portal/team/")
    with django_assert_num_queries(6) as first:
        alice.client.get("/portal/team/")
    for name in ("Ann", "Ben"):
        join(larkfield, name, Role.VIEWER)
    with django_assert_num_queries(len(first)):
        alice.client.get("/portal/team/")


# --- team


def test_inviting_somebody(alice: Persona, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> None:
    """A letter with a link and none of the inviter's own words."""
    with django_capture_on_commit_callbacks(execute=True):
        answer = alice.client.post("/portal/team/invite/", {"email": "May@larkfield.example", "role": "editor"})
    assert answer.status_code == 302
    invitation = Invitation.objects.get()
    assert (invitation.email, invitation.role) == ("may@larkfield.example", Role.EDITOR)
    assert mail.outbox[0].to == ["may@larkfield.example"]
    assert f"/invite/{invitations.token_of(invitation)}/" in str(mail.outbox[0].body)


@pytest.mark.parametrize(
    ("email", "role", "words"),
    [
        ("may", "editor", "Enter an e-mail address like name@example.com"),
        ("may@larkfield.example", "owner", "Select a valid choice"),
        ("alice@larkfield.example", "editor", "in the team already"),
    ],
)
def test_invitations_that_make_no_sense(alice: Persona, email: str, role: str, words: str) -> None:
    """The page says how to correct it."""
    page = alice.client.post("/portal/team/invite/", {"email": email, "role": role}).content.decode()
    assert words in page
    assert Invitation.objects.count() == 0


def test_nobody_is_bombed_with_invitations(
    larkfield: Organization, alice: Persona, mallory: Persona, hollin: Organization
) -> None:
    """The limit of one mailbox holds across organizations."""
    sent = 0
    for persona, organization in [(alice, larkfield), (mallory, hollin)] * policy.LETTERS_PER_ADDRESS[0]:
        try:
            invitations.invite(organization, email="victim@else.example", role=Role.VIEWER, actor=persona.user)
            sent += 1
        except TooManyError:
            continue
    assert sent == policy.LETTERS_PER_ADDRESS[0]


def invited(invitation: Invitation) -> Persona:
    """Return the invited person, signed in."""
    user = make_user("May", invitation.email)
    return Persona(user, sign_in(user))


def test_accepting_an_invitation(invitation: Invitation, larkfield: Organization) -> None:
    """GET shows, POST joins; a second use finds nothing."""
    may, url = invited(invitation), f"/invite/{invitations.token_of(invitation)}/"
    assert "Join Larkfield Garden Co." in may.client.get(url).content.decode()
    assert not may.user.memberships.exists()
    assert may.client.post(url).status_code == 302
    assert may.user.memberships.get().role == Role.EDITOR
    assert may.client.post(url).status_code == 404


def test_an_invitation_fits_one_address_only(invitation: Invitation, mallory: Persona) -> None:
    """Whoever got the link forwarded is refused."""
    url = f"/invite/{invitations.token_of(invitation)}/"
    assert mallory.client.post(url).status_code == 403
    assert Membership.objects.filter(user=mallory.user).count() == 1


def test_an_unconfirmed_address_does_not_fit(invitation: Invitation) -> None:
    """Claiming the address is not owning it."""
    may = invited(invitation)
    may.user.emailaddress_set.update(verified=False)
    assert may.client.post(f"/invite/{invitations.token_of(invitation)}/").status_code == 403


@pytest.mark.parametrize("how", ["ended", "withdrawn", "closed", "altered"])
def test_dead_invitations_say_nothing_more(
    invitation: Invitation, alice: Persona, larkfield: Organization, how: str
) -> None:
    """One page for all of them."""
    token = invitations.token_of(invitation)
    if how == "ended":
        Invitation.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    elif how == "withdrawn":
        alice.client.post(reverse("invitation_withdraw", args=[invitation.uid]))
    elif how == "closed":
        Organization.objects.filter(pk=larkfield.pk).update(closed_at=clock.now())
    else:
        token = token[:-1] + ("a" if token[-1] != "a" else "b")
    answer = Client().get(f"/invite/{token}/")
    assert answer.status_code == 404
    assert "does not work any more" in answer.content.decode()


def test_changing_a_role(alice: Persona, eve: Persona) -> None:
    """Written down with before and after."""
    alice.client.post(reverse("member_change", args=[eve.user.uid]), {"role": "manager"})
    assert eve.user.memberships.get().role == Role.MANAGER
    assert AuditEntry.objects.get(action="member.role").detail == {"from": "editor", "to": "manager"}


def test_the_last_owner_stays(alice: Persona, eve: Persona) -> None:
    """Neither leaving, nor demotion, nor removal; naming another first opens the way."""
    own = reverse("member_change", args=[alice.user.uid])
    alice.client.post("/portal/team/leave/")
    alice.client.post(own, {"role": "viewer"})
    alice.client.post(reverse("member_remove", args=[alice.user.uid]))
    assert alice.user.memberships.get().role == Role.OWNER
    alice.client.post(reverse("member_change", args=[eve.user.uid]), {"role": "owner"})
    alice.client.post("/portal/team/leave/")
    assert not alice.user.memberships.exists()


def test_handing_over(alice: Persona, eve: Persona) -> None:
    """Both roles change, or neither."""
    alice.client.post(reverse("member_transfer", args=[eve.user.uid]))
    assert (alice.user.memberships.get().role, eve.user.memberships.get().role) == (Role.MANAGER, Role.OWNER)


def test_a_removed_member_is_out_at_once(alice: Persona, eve: Persona) -> None:
    """The next click does not open a page."""
    alice.client.post(reverse("member_remove", args=[eve.user.uid]))
    assert eve.client.get("/portal/team/")["Location"] == "/portal/new/"


# --- organizations


def test_founding_another_organization(alice: Persona) -> None:
    """One works in it from now on."""
    alice.client.post("/portal/new/", {"name": "Fernside Choir"})
    assert "Fernside Choir" in alice.client.get("/portal/team/").content.decode()


def test_switching(alice: Persona, hollin: Organization, settings: SettingsWrapper) -> None:
    """The same page in the other organization; a page of one object leads to the overview."""
    Membership.objects.create(organization=hollin, user=alice.user, role=Role.VIEWER)
    url = reverse("org_switch", args=[hollin.uid])
    team, base = "/portal/team/", settings.BASE_URL
    assert alice.client.post(url, headers={"referer": base + team})["Location"] == team
    assert "Hollin Hill Pottery" in alice.client.get(team).content.decode()
    assert alice.client.post(url, headers={"referer": f"{base}/portal/domains/{uuid4()}/"})["Location"] == "/portal/"
    assert alice.client.post(url, headers={"referer": "https://evil.example/portal/team/"})["Location"] == "/portal/"


def test_an_address_that_names_the_organization(alice: Persona, larkfield: Organization, hollin: Organization) -> None:
    """Leads to the page; a stranger's organization is not found and changes nothing."""
    assert alice.client.get(f"/portal/o/{larkfield.uid}/team/")["Location"] == "/portal/team/"
    assert alice.client.get(f"/portal/o/{hollin.uid}/team/").status_code == 404
    assert alice.client.post(reverse("org_switch", args=[hollin.uid])).status_code == 404
    assert "Larkfield" in alice.client.get("/portal/team/").content.decode()


def test_the_organization_comes_from_the_session_alone(mallory: Persona, larkfield: Organization) -> None:
    """A forged choice in the session still needs a membership."""
    session = mallory.client.session
    session["organization"] = str(larkfield.uid)
    session.save()
    assert "Larkfield" not in mallory.client.get("/portal/team/").content.decode()


def test_closing_asks_for_the_name(alice: Persona, larkfield: Organization) -> None:
    """A wrong name closes nothing; the right one shuts the pages."""
    alice.client.post("/portal/settings/close/", {"typed": "Larkfield"})
    assert Organization.objects.get(pk=larkfield.pk).closed_at is None
    alice.client.post("/portal/settings/close/", {"typed": "Larkfield Garden Co."})
    assert Organization.objects.get(pk=larkfield.pk).closed_at is not None
    assert alice.client.get("/portal/team/")["Location"] == "/portal/new/"


# --- settings, data, audit


def test_saving_settings(alice: Persona, larkfield: Organization) -> None:
    """The person's, the membership's, the organization's."""
    data = {
        "name": "Alice B", "time_zone": "Europe/Vienna", "notify_digest": "on",
        "organization": "Larkfield", "organization_zone": "Europe/London",
    }  # fmt: skip
    assert alice.client.post("/portal/settings/", data).status_code == 302
    person, member = User.objects.get(pk=alice.user.pk), Membership.objects.get(user=alice.user)
    assert (person.name, person.time_zone) == ("Alice B", "Europe/Vienna")
    assert (member.notify_digest, member.notify_urgent) == (True, False)
    stored = Organization.objects.get(pk=larkfield.pk)
    assert (stored.name, stored.time_zone) == ("Larkfield", "Europe/London")


def test_a_member_cannot_rename_the_organization(eve: Persona, larkfield: Organization) -> None:
    """Typed fields that the form does not have change nothing."""
    data = {"name": "Eve", "time_zone": "UTC", "organization": "Evil", "organization_zone": "UTC", "role": "owner"}
    assert eve.client.post("/portal/settings/", data).status_code == 302
    assert Organization.objects.get(pk=larkfield.pk).name == "Larkfield Garden Co."
    assert eve.user.memberships.get().role == Role.EDITOR


@pytest.mark.parametrize("zone", ["Mars/Base", "", "../../etc/passwd"])
def test_unknown_time_zones_are_refused(eve: Persona, zone: str) -> None:
    """Only zones of the database."""
    assert eve.client.post("/portal/settings/", {"name": "Eve", "time_zone": zone}).status_code == 200
    assert User.objects.get(pk=eve.user.pk).time_zone == "UTC"


def archive_of(persona: Persona) -> dict[str, list[dict[str, object]]]:
    """Return the files of a person's download."""
    answer = persona.client.post("/portal/settings/data/")
    content = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: json.loads(archive.read(name)) for name in archive.namelist()}


def test_own_data_of_an_owner(alice: Persona, bob: Persona, hollin: Organization, domain: SendingDomain) -> None:
    """The person and the organization, no secrets, nothing of anybody else."""
    files = archive_of(alice)
    assert files["person.json"][0]["email"] == "alice@larkfield.example"
    assert files["organization.json"][0]["name"] == "Larkfield Garden Co."
    assert {row["name"] for row in files["organization-team.json"]} == {"Alice", "Bob"}
    assert [row["name"] for row in files["organization-domains.json"]] == ["larkfield.example"]
    text = json.dumps(files)
    assert "Hollin" not in text
    assert not [secret for secret in ("password", "PRIVATE", "md5$", "scrypt") if secret in text]


def test_own_data_of_a_member_is_their_own(eve: Persona, alice: Persona) -> None:
    """An editor carries away nothing of the organization."""
    assert {name.partition("-")[0].removesuffix(".json") for name in archive_of(eve)} == {"person"}


def test_own_data_asks_for_the_password_first(larkfield: Organization, alice: Persona) -> None:
    """An old session has to confirm."""
    session = alice.client.session
    session["account_authentication_methods"][0]["at"] -= 3600
    session.save()
    answer = alice.client.post("/portal/settings/data/")
    assert answer["Location"] == "/account/reauthenticate/?next=%2Fportal%2Fsettings%2F"


def test_the_audit_page_shows_only_ones_own(
    alice: Persona, eve: Persona, mallory: Persona, hollin: Organization, moderator: Persona, larkfield: Organization
) -> None:
    """Acts of this organization, with names of its people and not of staff."""
    from accounts import standing

    domains.add(hollin, "hollin.example", actor=mallory.user)
    alice.client.post(reverse("member_change", args=[eve.user.uid]), {"role": "viewer"})
    standing.move(larkfield, "warned", actor=moderator.user, reason="Complaints")
    page = alice.client.get("/portal/audit/").content.decode()
    assert "member.role" in page
    assert "domain.added" not in page
    assert "Complaints" in page
    assert "Mona" not in page


# --- verification


BUSINESS = {
    "legal_name": "Larkfield Garden Co. Ltd", "legal_form": "Ltd", "register_number": "123", "country": "GB",
    "address_kind": "street", "street": "4 Mill Lane", "city": "Exampleton", "responsible_person": "Alice",
    "contact_email": "alice@larkfield.example", "website": "https://larkfield.example",
}  # fmt: skip
PRACTICE = {
    "sources": ["own_form"], "page_url": "https://larkfield.example/news", "wording": "Send me news",
    "topics": "Garden tips", "monthly_volume": "2000", "no_bought_lists": "on",
}  # fmt: skip


def test_filling_in_the_papers(alice: Persona, larkfield: Organization) -> None:
    """Both forms lead back to the list and are shown there."""
    Organization.objects.filter(pk=larkfield.pk).update(standing="unverified")
    assert alice.client.post("/portal/verify/business/", BUSINESS)["Location"] == "/portal/verify/"
    assert alice.client.post("/portal/verify/practice/", PRACTICE)["Location"] == "/portal/verify/"
    page = alice.client.get("/portal/verify/").content.decode()
    assert "4 Mill Lane, Exampleton, GB" in page
    assert "3 of 5 done" in page
    add_domain(larkfield)
    alice.client.post("/portal/verify/business/", {**BUSINESS, "city": "Elsewhere"})
    assert Verification.objects.get().state == "submitted"
    assert "With staff" in alice.client.get("/portal/verify/").content.decode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"legal_name": ""}, "Enter legal name"),
        ({"street": "123 Main St, Anytown"}, "Enter the address where post reaches you."),
        ({"register_number": ""}, "sole trader"),
        ({"country": "DE", "address_kind": "po_box"}, "the law asks for a street address"),
        ({"country": "XX"}, "Select a valid choice"),
        ({"website": "javascript:alert(1)"}, "Enter a valid URL"),
        ({"city": "Exampleton\r\nBcc: x"}, "Take out line breaks"),
    ],
)
def test_a_business_profile_that_is_not_right(alice: Persona, change: dict[str, str], words: str) -> None:
    """Nothing is kept, the text says what to do."""
    page = alice.client.post("/portal/verify/business/", {**BUSINESS, **change}).content.decode()
    assert words in page
    assert not hasattr(Organization.objects.get(name="Larkfield Garden Co."), "profile")


def test_a_profile_cannot_be_given_to_another_organization(alice: Persona, hollin: Organization) -> None:
    """A typed organization id is ignored."""
    alice.client.post(
        "/portal/verify/business/", {**BUSINESS, "organization": str(hollin.pk), "organization_id": str(hollin.pk)}
    )
    assert not hasattr(Organization.objects.get(pk=hollin.pk), "profile")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"no_bought_lists": ""}, "Tick the box to go on"),
        ({"page_url": ""}, "Enter the address of the page"),
        ({"monthly_volume": "0"}, "Enter a number of messages"),
        ({"sources": ["bought"]}, "Select a valid choice"),
    ],
)
def test_a_practice_that_is_not_right(alice: Persona, change: dict[str, object], words: str) -> None:
    """Bought lists get no further than here."""
    page = alice.client.post("/portal/verify/practice/", {**PRACTICE, **change}).content.decode()
    assert words in page


@pytest.mark.parametrize("state", ["collecting", "submitted", "questions", "approved", "refused"])
def test_the_task_list_in_every_state(alice: Persona, larkfield: Organization, state: str) -> None:
    """Renders, and offers the button only where it does something."""
    add_profile(larkfield)
    add_practice(larkfield)
    add_domain(larkfield)
    now = clock.now()
    Verification.objects.create(
        organization=larkfield, state=state, submitted_at=now, promised_until=now, decided_at=now, reason="Because <b>."
    )
    page = alice.client.get("/portal/verify/").content.decode()
    assert ("Send for review" in page) is (state in ("collecting", "questions", "refused"))
    assert "Because <b>" not in page


def test_asking_for_more(
    alice: Persona,
    larkfield: Organization,
    moderator: Persona,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    """The next step, once; the letter speaks of the allowance and not of verification."""
    add_profile(larkfield)
    add_practice(larkfield)
    add_domain(larkfield)
    Verification.objects.create(organization=larkfield, state="approved", granted_allowance=500)
    assert "Ask for 1,000 a day" in alice.client.get("/portal/verify/").content.decode()
    for _ in range(2):
        alice.client.post("/portal/verify/more/")
    review = Verification.objects.get(state="submitted")
    assert review.requested_allowance == 1_000
    ruling = verification.Ruling(verification.Answer.APPROVE, "Well done.", 1_000)
    with django_capture_on_commit_callbacks(execute=True):
        verification.decide(review, ruling, actor=moderator.user)
    assert Organization.objects.get(pk=larkfield.pk).daily_allowance == 1_000
    assert mail.outbox[0].subject == "More messages a day: 1,000 for Larkfield Garden Co."


@pytest.mark.parametrize("standing", ["unverified", "warned", "suspended", "blocked"])
def test_no_more_while_standing_is_not_good(alice: Persona, larkfield: Organization, standing: str) -> None:
    """Neither offered nor taken."""
    Organization.objects.filter(pk=larkfield.pk).update(standing=standing)
    Verification.objects.create(organization=larkfield, state="approved", granted_allowance=500)
    assert "Ask for" not in alice.client.get("/portal/verify/").content.decode()
    alice.client.post("/portal/verify/more/")
    assert not Verification.objects.filter(state="submitted").exists()


@pytest.mark.parametrize(
    ("change", "reviews"), [({"legal_name": "Someone Else Ltd"}, 1), ({"contact_phone": "+44 1632 960114"}, 0)]
)
def test_a_verified_sender_who_becomes_another_is_read_again(
    alice: Persona, larkfield: Organization, change: dict[str, str], reviews: int
) -> None:
    """A new name goes to staff, a new phone number does not; sending goes on meanwhile."""
    alice.client.post("/portal/verify/business/", BUSINESS)
    for _ in range(2):
        alice.client.post("/portal/verify/business/", {**BUSINESS, **change})
    assert Verification.objects.filter(state="submitted").count() == reviews
    assert Organization.objects.get(pk=larkfield.pk).standing == "good"


def test_the_letter_of_a_second_look(
    alice: Persona,
    larkfield: Organization,
    moderator: Persona,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    """Speaks of changed papers."""
    Verification.objects.create(organization=larkfield, state="approved", granted_allowance=500)
    alice.client.post("/portal/verify/business/", BUSINESS)
    alice.client.post("/portal/verify/business/", {**BUSINESS, "legal_name": "Other Ltd"})
    ruling = verification.Ruling(verification.Answer.REFUSE, "Nobody of that name.")
    with django_capture_on_commit_callbacks(execute=True):
        verification.decide(Verification.objects.get(state="submitted"), ruling, actor=moderator.user)
    assert mail.outbox[0].subject == "Not accepted: the changed papers of Larkfield Garden Co."


@pytest.mark.parametrize("name", ["Win at evil.example/now", "see https://evil.example", "a@evil.example"])
def test_names_carry_no_addresses(alice: Persona, larkfield: Organization, name: str) -> None:
    """An invitation's subject would carry them to strangers."""
    page = alice.client.post("/portal/new/", {"name": name}).content.decode()
    assert "Enter a name without web or e-mail addresses in it." in page
    assert Organization.objects.count() == 1


def test_only_our_own_addresses_become_links() -> None:
    """The words of customers and staff are text, in HTML too."""
    html = notices.html_of("See http://localhost:8000/portal/ and https://evil.example/ <b>now</b>.\n\nBye")
    assert html.count("<a href=") == 1
    assert '<a href="http://localhost:8000/portal/">' in html
    assert "&lt;b&gt;now" in html


def test_times_are_shown_in_the_persons_zone(alice: Persona, larkfield: Organization) -> None:
    """And in UTC for everybody else's eyes."""
    User.objects.filter(pk=alice.user.pk).update(time_zone="Asia/Tokyo")
    domains.add(larkfield, "larkfield.example", actor=alice.user)
    assert "JST" in alice.client.get("/portal/audit/").content.decode()


# --- domains and From addresses


def test_adding_a_domain(alice: Persona) -> None:
    """The page shows the records to add."""
    answer = alice.client.post("/portal/domains/add/", {"name": "Mail.Larkfield.example"})
    added = SendingDomain.objects.get()
    assert answer["Location"] == f"/portal/domains/{added.uid}/"
    page = alice.client.get(answer["Location"]).content.decode()
    for wanted in (
        f"portal-verify={added.challenge}",
        f"p1.{added.key8}.dkim.sendserver.example",
        "rp.sendserver.example",
    ):
        assert wanted in page


def test_a_free_mailbox_is_no_domain(alice: Persona) -> None:
    """The form says why."""
    page = alice.client.post("/portal/domains/add/", {"name": "gmail.com"}).content.decode()
    assert "it is a free mailbox" in page


def test_checking_is_limited(alice: Persona, domain: SendingDomain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two presses, one look."""
    looks: list[str] = []
    monkeypatch.setattr("accounts.watching.watch", lambda row: looks.append(row.name))
    for _ in range(2):
        alice.client.post(reverse("domain_check", args=[domain.uid]))
    assert looks == ["larkfield.example"]


def test_mailing_the_records(alice: Persona, domain: SendingDomain) -> None:
    """To whoever manages the DNS; three letters a day and mailbox at most."""
    url = reverse("domain_mail", args=[domain.uid])
    for _ in range(policy.LETTERS_PER_ADDRESS[0] + 2):
        alice.client.post(url, {"email": "dns@larkfield.example"})
    alice.client.post(url, {"email": "nobody"})
    assert len(mail.outbox) == policy.LETTERS_PER_ADDRESS[0]
    assert f"portal-verify={domain.challenge}" in str(mail.outbox[0].body)


def test_removing_a_domain(alice: Persona, sender: FromAddress) -> None:
    """Its From addresses go with it."""
    alice.client.post(reverse("domain_remove", args=[sender.domain.uid]))
    sender.refresh_from_db()
    assert sender.removed_at is not None
    assert alice.client.get(reverse("domain_detail", args=[sender.domain.uid])).status_code == 404


def test_a_from_address_is_confirmed_by_its_mailbox(
    alice: Persona, domain: SendingDomain, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    """The link's page does nothing by itself; the button does."""
    with django_capture_on_commit_callbacks(execute=True):
        alice.client.post(
            reverse("from_add", args=[domain.uid]),
            {"display_name": "Larkfield", "local_part": "News", "reply_to": "shop@larkfield.example"},
        )
    sender = FromAddress.objects.get()
    assert (sender.address, mail.outbox[0].to) == ("news@larkfield.example", ["shop@larkfield.example"])
    url = f"/confirm/from/{senders.token_of(sender)}/"
    assert url in str(mail.outbox[0].body)
    assert Client().get(url).status_code == 200
    assert not senders.is_confirmed(FromAddress.objects.get())
    assert Client().post(url).status_code == 200
    assert senders.is_confirmed(FromAddress.objects.get())


def test_a_link_for_an_older_mailbox_confirms_nothing(alice: Persona, sender: FromAddress) -> None:
    """Change where answers go, then press the old letter's button."""
    old = senders.token_of(sender)
    alice.client.post(
        reverse("from_change", args=[sender.uid]), {"display_name": "L", "reply_to": "other@larkfield.example"}
    )
    assert Client().post(f"/confirm/from/{old}/").status_code == 404
    assert not senders.is_confirmed(FromAddress.objects.get())


def test_links_and_confirmations_grow_old(sender: FromAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    """The link after a week, the confirmation after 180 days."""
    token, now = senders.token_of(sender), clock.now()
    senders.confirm(sender)
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(days=8))
    assert senders.from_token(token) is None
    assert senders.is_confirmed(sender)
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(days=policy.REPLY_CONFIRM_DAYS + 1))
    assert not senders.is_confirmed(sender)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"local_part": "a b"}, "Enter the part before the @ only"),
        ({"local_part": "news@x"}, "Enter the part before the @ only"),
        ({"local_part": "abuse"}, "is where complaints arrive"),
        ({"local_part": "noreply"}, "Somebody has to read the answers"),
        ({"display_name": "a@b.example"}, "Enter a name without an e-mail address"),
        ({"display_name": "X\r\nBcc: y"}, "Take out line breaks"),
        ({"display_name": "evil\u202egnp"}, "Take out line breaks"),
        ({"reply_to": "no-reply@larkfield.example"}, "Somebody has to read the answers"),
    ],
)
def test_from_addresses_that_are_refused(
    alice: Persona, domain: SendingDomain, change: dict[str, str], words: str
) -> None:
    """Each says what to do instead."""
    data = {"display_name": "Larkfield", "local_part": "news", "reply_to": "", **change}
    page = alice.client.post(reverse("from_add", args=[domain.uid]), data).content.decode()
    assert words in page
    assert FromAddress.objects.count() == 0


def test_noreply_with_a_read_mailbox_is_fine(alice: Persona, domain: SendingDomain) -> None:
    """As long as somebody answers."""
    data = {"display_name": "Larkfield", "local_part": "noreply", "reply_to": "shop@larkfield.example"}
    alice.client.post(reverse("from_add", args=[domain.uid]), data)
    assert senders.mailbox(FromAddress.objects.get()) == "shop@larkfield.example"


# --- second factor


def test_setting_up_and_using_a_second_factor(alice: Persona) -> None:
    """Without one: the offer. With one: the question. Foreign addresses are not followed."""
    url = "/account/second-factor/?next=/portal/lists/"
    assert "Set up a second factor" in alice.client.get(url).content.decode()
    TOTP.activate(alice.user, generate_totp_secret())
    assert alice.client.get(url)["Location"] == "/account/2fa/reauthenticate/?next=%2Fportal%2Flists%2F"
    evil = alice.client.get("/account/second-factor/?next=https://evil.example/")
    assert "evil" not in evil["Location"]
    use_second_factor(alice.client)
    assert alice.client.get("/portal/team/").status_code == 200
