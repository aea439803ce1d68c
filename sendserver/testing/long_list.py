"""Long lists for tests of pages: made-up people written by the database itself, so that a million takes a minute."""

from __future__ import annotations

from typing import Final

from django.db import connection

from compliance.models import ContactList, ImportJob
from sendserver.testing import databases

# Every seventh lives where a confirmation is needed and has none; every tenth has no first name.
_CONTACTS: Final = """
INSERT INTO compliance_contact (uid, organization_id, address, address_key, address_hash, domain, first_name, last_name,
                                country, fields, created_at, updated_at)
SELECT gen_random_uuid(), %(organization)s, 'p' || n || '@reader.example', 'p' || n || '@reader.example',
       sha256(convert_to('p' || n, 'UTF8')), 'reader.example', CASE WHEN n %% 10 = 0 THEN '' ELSE 'Name' || n END, '',
       CASE WHEN n %% 7 = 0 THEN 'DE' ELSE 'GB' END, '{}', now(), now()
FROM generate_series(%(first)s, %(last)s) AS n ORDER BY n
"""
_MEMBERSHIPS: Final = """
INSERT INTO compliance_listmembership (contact_list_id, contact_id, basis, consent_at, confirmed_at, country, source,
                                       attestation_id, import_job_id, first_import_id, added_at)
SELECT %(list)s, c.id, 'express_soi', now() - interval '30 days', NULL, '', 'website form', %(attestation)s, %(job)s,
       %(job)s, now()
FROM generate_series(%(first)s, %(last)s) AS n
JOIN compliance_contact c ON c.organization_id = %(organization)s AND c.address_key = 'p' || n || '@reader.example'
ORDER BY c.id
"""
_NUMBER: Final = """
UPDATE compliance_contactlist SET people_count = (
  SELECT count(*) FROM compliance_listmembership WHERE contact_list_id = %(list)s) WHERE id = %(list)s
"""
_SUPPRESSIONS: Final = """
INSERT INTO compliance_suppression (organization_id, address_hash, key_id, act, reason, source, created_at,
                                    lifted_reason)
SELECT %(organization)s, sha256(convert_to('gone' || n, 'UTF8')), 'test', gen_random_uuid(),
       CASE WHEN n %% 2 = 0 THEN 'unsubscribe' ELSE 'hard_bounce' END, 'page', now(), ''
FROM generate_series(1, %(last)s) AS n
"""


def fill(
    contact_list: ContactList, people: int, *, attestation: int, job: ImportJob | None = None, first: int = 1
) -> None:
    """Put `people` new persons on a list, by an upload where one is named; six of seven can be mailed."""
    values = {
        "organization": contact_list.organization_id,
        "list": contact_list.pk,
        "attestation": attestation,
        "job": job.pk if job else None,
        "first": first,
        "last": first + people - 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CONTACTS, values)
        cursor.execute(_MEMBERSHIPS, values)
        cursor.execute(_NUMBER, values)
    contact_list.refresh_from_db()


def fill_do_not_mail(organization_id: int, entries: int) -> None:
    """Put made-up entries onto an organization's own do-not-mail list, half of them unsubscribed."""
    with connection.cursor() as cursor:
        cursor.execute(_SUPPRESSIONS, {"organization": organization_id, "last": entries})


def settle() -> None:
    """Let the database know what is in its tables, as its own housekeeping does soon after an upload; commit first."""
    with databases.owner_of(connection.settings_dict["NAME"]) as server:
        server.execute("VACUUM ANALYZE")
