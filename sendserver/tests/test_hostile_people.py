"""Half-open sessions, forged fields, letters to a stranger: what accounts and forms give away when pushed."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_network
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.apps import apps
from django.core import mail
from django.db import connection, models, transaction
from django.forms import ModelForm
from django.test import Client
from django.urls import get_resolver, reverse
from pytest_django import DjangoCaptureOnCommitCallbacks
from pytest_django import Settings as SettingsWrapper
from selectolax.lexbor import LexborHTMLParser, LexborNode

from abuse.tests import make
from accounts import domain_keys, policy
from accounts.models import Organization, Role
from campaigns.models import Campaign, SystemMail
from compliance import policy as limits
from sendserver.testing.everything import PERSONAS, Everything, build
from sendserver.testing.personas import join, make_organization
from sendserver.tests.addresses import objects
from sendserver.tests.test_access_table import METHODS, all_rows, ask, url_of

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
OURS = ("accounts", "compliance", "campaigns", "abuse")


@pytest.fixture(autouse=True)
def _letters(settings: SettingsWrapper) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


# ---------- sessions

# Where somebody with the password alone gets further than a stranger: to the question for the code, and out again.
HALF_OPEN = {
    **{("mfa_authenticate", method): "200" for method in METHODS},
    **{("account_login", method): "302" for method in METHODS},
}


@pytest.mark.parametrize("persona", ["owner", "moderator"])
def test_a_password_alone_opens_no_address(persona: str) -> None:
    """Each address of the URLconf, asked with a session that waits for its second factor, answers as to a stranger."""
    world = build()
    things, user = objects(world), world.users[persona]
    if not Authenticator.objects.filter(user=user).exists():
        TOTP.activate(user, generate_totp_secret())
    half = Client()
    assert half.post("/account/login/", {"login": user.email, "password": PASSWORD})["Location"].endswith(
        "authenticate/"
    )
    kept, place, wrong = dict(half.session), PERSONAS.index("anonymous"), []
    names = [name for name in all_rows() if name.startswith("admin:") is (persona == "moderator")]
    for name in names:
        url = url_of(name, world, things)
        for method, codes in zip(METHODS, all_rows()[name], strict=True):
            client, expected = _with_session(kept), codes[place]
            found = ask(client, method, url)
            if expected == "400":  # in the table the visitor's session was taken back with the request before
                expected = ask(Client(), method, url)
            if found != HALF_OPEN.get((name, method), expected) or "_auth_user_id" in client.session:
                wrong.append(f"{name} {method}: {found}, a stranger gets {expected}")
    assert not wrong, "\n".join(wrong)


def _with_session(kept: dict[str, Any]) -> Client:
    """Return a client with a session of that content: pages may end the one they are asked with."""
    client = Client()
    session = client.session
    session.update(kept)
    session.save()
    client.cookies["sessionid"] = session.session_key
    return client


def test_a_planted_session_is_left_behind_at_sign_in() -> None:
    """Whoever knows the key of the session before it knows nothing of the one after."""
    world = build()
    planted = _with_session({"planted": "yes"})
    key = planted.cookies["sessionid"].value
    planted.post("/account/login/", {"login": world.users["owner"].email, "password": PASSWORD})
    assert planted.get("/portal/team/").status_code == 200
    assert planted.cookies["sessionid"].value != key
    thief = Client()
    thief.cookies["sessionid"] = key
    assert thief.get("/portal/team/").status_code == 302


@pytest.mark.parametrize("networks", [["10.8.0.0/16"], ["2001:db8::/48", "192.0.2.0/24"]])
def test_the_staff_area_is_not_there_for_other_networks(settings: SettingsWrapper, networks: list[str]) -> None:

    world = build()
    settings.STAFF_NETWORKS = [ip_network(text) for text in networks]
    inside = networks[-1].replace("0.0/16", "3.4").replace("0/24", "7")
    for path in ("/staff/", "/staff/login/", "/staff/abuse/case/", "/staff/nothing/"):
        for client in (Client(), world.clients["moderator"]):
            assert client.get(path, REMOTE_ADDR="203.0.113.9").status_code == 404, path
            assert client.post(path, REMOTE_ADDR="203.0.113.9").status_code == 404, path
            assert client.get(path, REMOTE_ADDR="203.0.113.9", HTTP_X_FORWARDED_FOR=inside).status_code == 404
        assert Client().get(path, REMOTE_ADDR=inside).status_code == 302
    assert world.clients["moderator"].get("/staff/", REMOTE_ADDR=inside).status_code == 200
    assert Client().get("/account/login/", REMOTE_ADDR="203.0.113.9").status_code == 200


# ---------- fields that no form has

TEXT, NUMBER, MOMENT, UNIQUE = (
    "FORGED-BY-POST",
    "987654321",
    "2031-03-03 03:03:03",
    "0badc0de-0000-4000-8000-00000badc0de",
)
MARKS = f"{TEXT}|{NUMBER}|2031-03-03|{UNIQUE}"
# What decides over people: no page of a customer writes these directly.
GUARDED = {
    "accounts_user": ("is_staff", "is_superuser", "is_active", "password", "email"),
    "accounts_organization": ("standing", "daily_allowance", "closed_at"),
    "accounts_membership": ("role", "organization_id", "user_id"),
    "accounts_sendingdomain": ("organization_id", "verified_at", "challenge"),
    "accounts_fromaddress": ("organization_id", "domain_id"),
    "campaigns_campaign": ("organization_id", "state", "send_key", "approved_by_id", "planned_count"),
    "compliance_contact": ("organization_id", "address_hash", "tracking_consent_at"),
    "compliance_contactlist": ("organization_id", "people_count"),
    "compliance_importjob": ("organization_id", "list_uid", "sha256"),
    "compliance_suppression": ("organization_id", "reason", "lifted_at"),
    "abuse_case": ("organization_id", "state", "decided_at"),
    "abuse_complaint": ("organization_id", "grade", "stopped_at"),
    "abuse_decision": ("kind", "organization_id"),
}
# What the forms ask for beyond what they show: the words typed by an honest person.
TYPED = {
    "email": "colleague@larkfield.example", "address": "new@reader.example", "consent_on": "2026-10-01",
    "source": "Paper", "password": PASSWORD, "recipients": "dns@larkfield.example", "to": "dns@larkfield.example",
    "question": "How?", "message": "How?", "text": "Words.", "reply_to": "team@larkfield.example",
    "local_part": "shop", "display_name": "Larkfield", "reason": "Because.", "role": "viewer",
}  # fmt: skip
# Acts that are guarded rows' own business: closing, changing a role, leaving, preferences.
MAY_CHANGE = {
    "org_close": "accounts_organization", "member_change": "accounts_membership",
    "member_transfer": "accounts_membership", "member_remove": "accounts_membership",
    "campaign_pause": "campaigns_campaign", "campaign_resume": "campaigns_campaign",
    "campaign_stop": "campaigns_campaign", "contact_add": "compliance_contactlist",
    "contact_remove": "compliance_contact compliance_contactlist",
    "contact_erase": "compliance_contact compliance_contactlist",
    "import_undo": "compliance_contact compliance_contactlist",
    "signup_confirm": "compliance_contactlist",
    "account_change_password": "accounts_user", "abuse_case": "abuse_case",
}  # fmt: skip


def test_no_form_takes_the_fields_of_a_table_unasked() -> None:
    """Each form over a model names its fields, and none of them decides over people."""
    guarded = {column.removesuffix("_id") for columns in GUARDED.values() for column in columns}
    assert get_resolver().url_patterns  # the forms are loaded with the addresses
    found = 0
    for form in _forms(ModelForm):
        if form.__module__.startswith(OURS) and form._meta.model is not None:
            found += 1
            assert isinstance(form._meta.fields, (list, tuple)), form
            assert not guarded & set(form._meta.fields) - {"reason"}, form
    assert found >= 3


def _forms(base: type) -> list[Any]:
    return [form for child in base.__subclasses__() for form in (child, *_forms(child))]


def test_fields_of_the_tables_change_nothing_in_any_form() -> None:
    """Every form of the portal and the public pages, filled honestly and posted with every field of every table."""
    world = build()
    things, forged = objects(world), _forged(world)
    taken: Counter[str] = Counter()
    wrong: list[str] = []
    for name, (_, post) in all_rows().items():
        persona = "owner" if post[1] not in ("404", "405") else ""
        if name.startswith(("admin:", "mfa_", "usersessions", "account_logout")) or not persona:
            continue
        url, client = url_of(name, world, things), world.clients[persona]
        with transaction.atomic():
            asked, honest = _fields_of(client, url)
            before = _guarded()
            extra = {field: value for field, value in forged.items() if field not in asked}
            answer = client.post(url, {**extra, **honest})
            assert answer.status_code < 500, name
            taken[str(answer.status_code)] += 1
            after = _guarded()
            changed = {table for table in GUARDED if not _kept(before[table], after[table])}
            wrong += [f"{name}: changes {table}" for table in changed - set(MAY_CHANGE.get(name, "").split())]
            wrong += [f"{name}: writes into {table}" for table in _marked()]
            wrong += [f"{name}: reaches another organization"] * _foreign(world)
            transaction.set_rollback(True)
    assert not wrong, "\n" + "\n".join(wrong)
    assert taken["302"] >= 25, taken  # else nothing was taken in at all


def _forged(world: Everything) -> dict[str, str]:
    """Return a value for every field of our tables, each as one would try it."""
    other = Organization.objects.exclude(pk=world.organization.pk).order_by("pk")[0]
    found = {"organization": str(other.pk), "organization_id": str(other.pk), "tenant_id": str(other.pk)}
    for model in apps.get_models():
        if model._meta.app_label in OURS:
            for field in model._meta.concrete_fields:
                found.setdefault(field.name, _value(field))
                found.setdefault(field.attname, found[field.name])
    wanted = {"standing": "good", "is_staff": "on", "is_superuser": "on", "state": "sent", "grade": "A", "id": NUMBER}
    return {**found, **wanted, "daily_allowance": NUMBER, "verified_at": MOMENT, "is_verified": "on", "status": "good"}


def _value(field: models.Field[Any, Any]) -> str:
    kinds = (
        (models.BooleanField, "on"),
        ((models.DateField, models.DateTimeField), MOMENT),
        (models.UUIDField, UNIQUE),
        ((models.IntegerField, models.FloatField, models.ForeignKey), NUMBER),
    )
    return next((value for kind, value in kinds if isinstance(field, kind)), TEXT)


def _fields_of(client: Client, url: str) -> tuple[set[str], dict[str, Any]]:
    """Return the names of the page's own fields, and what its forms would send with empty ones filled in."""
    answer = client.get(url)
    if answer.status_code not in (200, 422):
        return set(), {}
    asked: set[str] = set()
    found: dict[str, Any] = {}
    for control in LexborHTMLParser(answer.content.decode()).css("main input, main textarea, main select"):
        name, value = control.attributes.get("name") or "", _typed(control)
        asked.add(name)
        if name and value is not None:
            found[name] = value
    return asked, found


def _typed(control: LexborNode) -> str | None:
    attributes, name = control.attributes, control.attributes.get("name") or ""
    if attributes.get("type") in ("file", "submit", "search"):
        return None
    if attributes.get("type") == "radio" and "checked" not in attributes:
        return None
    if attributes.get("type") == "checkbox":
        return attributes.get("value") or "on"
    if control.tag == "select":
        chosen = control.css_first("option[selected]") or control.css_first("option[value]:not([value=''])")
        return (chosen.attributes.get("value") or "") if chosen else None
    return (attributes.get("value") or control.text() or "").strip() or TYPED.get(name.removeprefix("id_"), "Words")


def _guarded() -> dict[str, dict[int, tuple[Any, ...]]]:
    found = {}
    with connection.cursor() as cursor:
        for table, columns in GUARDED.items():
            known = {one.name for one in connection.introspection.get_table_description(cursor, table)}
            cursor.execute(f"SELECT id, {', '.join(sorted(known & set(columns)))} FROM {table}")
            found[table] = {row[0]: tuple(row[1:]) for row in cursor.fetchall()}
    return found


def _kept(before: dict[int, tuple[Any, ...]], after: dict[int, tuple[Any, ...]]) -> bool:
    """Tell whether the rows that were there are as they were; forms may add rows of their own."""
    return all(after.get(key) == row for key, row in before.items())


def _marked() -> list[str]:
    """Return the tables in which a forged value stands."""
    tables = [model._meta.db_table for model in apps.get_models() if model._meta.app_label in OURS]
    union = " UNION ALL ".join(
        f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {table} AS one WHERE one::text ~ %s)" for table in tables
    )
    with connection.cursor() as cursor:
        cursor.execute(union, [MARKS] * len(tables))
        return [row[0] for row in cursor.fetchall()]


def _foreign(world: Everything) -> int:
    """Return how many rows the other organization has got beside its own founding."""
    other = Organization.objects.exclude(pk=world.organization.pk).order_by("pk")[0]
    return Campaign.objects.filter(organization=other).count() + other.domains.count() + other.memberships.count() - 1


# ---------- letters to somebody who asked for nothing

VICTIM = "victim@else.example"
TENANTS = 100


def test_many_tenants_write_to_one_stranger_no_more_than_one(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invitations, DNS records and mailboxes to confirm, by a hundred organizations, through the pages."""
    pair = domain_keys.generate()  # making keys is slow
    monkeypatch.setattr(domain_keys, "generate", lambda: pair)
    with django_capture_on_commit_callbacks(execute=True):
        for number in range(TENANTS):
            owner = join(make_organization(f"Org{number} Ltd"), "Owner", Role.OWNER)
            owner.client.post(reverse("team_invite"), {"email": VICTIM.title(), "role": "viewer"})
            owner.client.post(reverse("domain_add"), {"name": f"mail.org{number}.example"})
            domain = owner.user.memberships.get().organization.domains.get()
            owner.client.post(reverse("domain_mail", args=[domain.uid]), {"email": VICTIM})
            sender = {"display_name": "Org", "local_part": "news", "reply_to": VICTIM}
            owner.client.post(reverse("from_add", args=[domain.uid]), sender)
    assert _to_victim() == policy.LETTERS_PER_ADDRESS[0]


@pytest.fixture
def patient(settings: SettingsWrapper) -> None:
    """Take away the library's ten seconds between two codes: who bombs somebody waits."""
    settings.ACCOUNT_RATE_LIMITS = {**settings.ACCOUNT_RATE_LIMITS, "confirm_email": None, "reset_password": None}


def test_codes_to_one_stranger_end_whoever_asks_for_them(patient: None) -> None:
    """Sign-ups, sign-ins that repeat the code, new addresses, resets, from a hundred networks."""
    form = {
        "name": "Dana", "email": VICTIM, "password1": "potting shed at ten", "organization": "Org", "who": "asked",
        "agree": "on",
    }  # fmt: skip
    people = [join(make_organization(f"Org{number} Ltd"), "Owner", Role.OWNER) for number in range(TENANTS)]
    for number, person in enumerate(people):
        network = {"REMOTE_ADDR": f"198.51.{number}.1"}
        Client().post(reverse("account_signup"), form, **network)
        Client().post(reverse("account_login"), {"login": VICTIM, "password": form["password1"]}, **network)
        Client().post(reverse("account_reset_password"), {"email": VICTIM}, **network)
        person.client.post(reverse("account_email"), {"email": VICTIM, "action_add": ""}, **network)
    assert _to_victim() == policy.CODES_PER_ADDRESS[0]


def test_an_address_is_not_added_without_end(patient: None) -> None:
    """The form says so after three in a day, however many accounts ask."""
    for number in range(TENANTS):
        person = join(make_organization(f"Org{number} Ltd"), "Owner", Role.OWNER)
        page = person.client.post(reverse("account_email"), {"email": VICTIM, "action_add": ""})
    assert "Try again tomorrow" in page.content.decode()
    assert _to_victim() == policy.SIGNUP_PER_ADDRESS[0]


def test_nobody_is_told_of_reports_without_end() -> None:
    """Twelve organizations' mail to one mailbox, each reported with its token from another network."""
    for number in range(TENANTS):
        sent = make.delivery(make.campaign(make_organization(f"Org{number} Ltd")), VICTIM)
        form = {"kind": "unwanted", "share": "no", "token": make.token(sent), "email": VICTIM}
        Client().post(reverse("abuse"), form, REMOTE_ADDR=f"198.51.{number}.1")
    assert _to_victim() == limits.LETTERS_PER_ADDRESS


def test_a_test_message_goes_to_nobody_else() -> None:
    world = build()
    recipients = {
        "to": VICTIM,
        "email": VICTIM,
        "address": VICTIM,
        "recipient": VICTIM,
        "contact": str(world.contact.uid),
    }
    world.clients["owner"].post(reverse("campaign_test", args=[world.draft.uid]), recipients)
    assert set(SystemMail.objects.values_list("recipient", flat=True)) == {world.users["owner"].email}


def _to_victim() -> int:
    return sum(VICTIM in [address.lower() for address in letter.to] for letter in mail.outbox)
