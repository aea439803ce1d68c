"""Team, organizations, settings, own data, audit."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoCaptureOnCommitCallbacks
from pytest_django import Settings as SettingsWrapper

from accounts import domains, invitations, policy, senders
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
)
from accounts.tests.test_domains import _world, key_pairs  # noqa: F401 (fixtures: real keys made once, letters kept)
from sendserver.lib import clock
from sendserver.testing.personas import Persona, make_user, sign_in

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
    alice.client.post("/portal/new/", {"name": "Fernside Choir", "agree": "on"})
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
    # Larkfield is verified: staff read the new name first.
    assert (stored.wanted_name, stored.time_zone) == ("Larkfield", "Europe/London")


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
    assert "Member role" in page
    assert "Standing moved to warned" in page
    assert "Domain added" not in page
    assert "Complaints" in page
    assert "Mona" not in page
