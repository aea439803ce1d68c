"""The whole transition table of uploads, tasks, and what nobody finished."""

from __future__ import annotations

from datetime import timedelta

import pytest

from accounts.models import AuditEntry
from compliance import tasks
from compliance.imports import abandoned, lifecycle, run
from compliance.imports.lifecycle import TRANSITIONS
from compliance.models import ImportJob, ImportState
from compliance.tests.helpers import COLUMNS, csv_of, people, signed, upload
from sendserver.lib import clock
from sendserver.lib.states import TransitionRefusedError

ALLOWED = {
    "uploaded": {"mapped", "failed", "cancelled"},
    "mapped": {"mapped", "answered", "failed", "cancelled"},
    "answered": {"mapped", "answered", "queued", "failed", "cancelled"},
    "queued": {"reading", "failed", "undoing"},
    "reading": {"held", "done", "failed", "undoing"},
    "held": {"done", "undoing"},
    "done": {"undoing"},
    "undoing": {"cancelled", "refused"},  # refused by our staff: taken back first
    "failed": set(),
    "refused": set(),
    "cancelled": set(),
}


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def job(larkfield, alice):
    return upload(larkfield, alice.user, csv_of(people(2)))


def test_every_arrow(job, alice):
    for source in ImportState.values:
        for target in ImportState.values:
            _try_arrow(job, alice, source, target)


def _try_arrow(job, alice, source, target):
    ImportJob.objects.filter(pk=job.pk).update(state=source)
    job.refresh_from_db()
    before = AuditEntry.objects.count()
    if target in ALLOWED[source]:
        assert lifecycle.move(job, target, actor=alice.user)
        assert ImportJob.objects.get().state == target
        assert AuditEntry.objects.count() == before + 1
    else:
        with pytest.raises(TransitionRefusedError):
            lifecycle.move(job, target, actor=alice.user)
        assert ImportJob.objects.get().state == source
        assert AuditEntry.objects.count() == before


def test_table_names_every_state():
    assert {str(state) for state in TRANSITIONS} == set(ImportState.values)


def test_who_comes_second_moves_nothing(job, alice):
    late = ImportJob.objects.get()
    assert lifecycle.move(job, ImportState.CANCELLED, actor=alice.user)
    assert not lifecycle.move(late, ImportState.MAPPED, actor=alice.user)
    assert ImportJob.objects.get().state == ImportState.CANCELLED


def test_tasks_count_and_read(job, larkfield, alice):
    ImportJob.objects.update(state=ImportState.MAPPED, columns=COLUMNS)
    tasks.scan_import(job.pk)
    job.refresh_from_db()
    assert (job.scan["done"], job.row_count) == (True, 2)
    queued = signed(larkfield, alice.user, csv_of(people(2)))
    tasks.run_import(queued.pk)
    queued.refresh_from_db()
    assert queued.state == ImportState.DONE
    tasks.run_import(queued.pk)
    tasks.run_import(0)
    queued.refresh_from_db()
    assert queued.added_count == 2


def test_beat_pokes_what_waits_and_nothing_else(larkfield, alice, job, monkeypatch):
    poked = []
    monkeypatch.setattr(tasks.run_import, "delay", lambda pk: poked.append(("run", pk)))
    monkeypatch.setattr(tasks.scan_import, "delay", lambda pk: poked.append(("scan", pk)))
    queued = signed(larkfield, alice.user, csv_of(people(1)))
    counting = upload(larkfield, alice.user, csv_of(people(1)))
    ImportJob.objects.filter(pk=counting.pk).update(state=ImportState.MAPPED, columns=COLUMNS)
    reading = signed(larkfield, alice.user, csv_of(people(1)))
    ImportJob.objects.filter(pk=reading.pk).update(state=ImportState.READING, heartbeat_at=clock.now())
    assert tasks.resume_imports() == 2
    assert sorted(poked) == sorted([("run", queued.pk), ("scan", counting.pk)])
    ImportJob.objects.filter(pk=reading.pk).update(heartbeat_at=clock.now() - run.STALE - timedelta(seconds=1))
    assert tasks.resume_imports() == 3


def test_what_nobody_finished_goes_after_thirty_days(job, tmp_path, django_capture_on_commit_callbacks):
    assert abandoned.clear(clock.now() + timedelta(days=29)) == 0
    with django_capture_on_commit_callbacks(execute=True):
        assert abandoned.clear(clock.now() + timedelta(days=31)) == 1
    assert ImportJob.objects.get().state == ImportState.CANCELLED
    assert list(tmp_path.iterdir()) == []
