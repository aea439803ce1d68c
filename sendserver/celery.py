"""The Celery application, its five queues, and the whole beat schedule.

`celery -A sendserver.celery` starts it: `sendserver/__init__.py` stays empty so that `lib` never loads the roof.
Tasks are pokes: losing or repeating one harms nothing, because the work stands in PostgreSQL (architecture rule 1).
"""

import os

from celery import Celery
from celery.schedules import crontab
from celery.signals import setup_logging
from kombu import Queue

from sendserver.lib.logs import keep_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sendserver.settings")

setup_logging.connect(keep_logging)
app = Celery("sendserver")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.task_queues = [Queue("relay-1"), Queue("relay-2"), Queue("work"), Queue("inbound"), Queue("imports")]
app.conf.task_routes = {
    "campaigns.run_lane": {"queue": "relay-1"},  # always sent with an explicit queue; this is only the default
    "campaigns.process_inbound": {"queue": "inbound"},
    "compliance.scan_import": {"queue": "imports"},
    "compliance.run_import": {"queue": "imports"},
}
app.conf.beat_schedule = {
    "poke-lanes": {"task": "campaigns.poke_lanes", "schedule": 15.0},
    "start-due-campaigns": {"task": "campaigns.start_due", "schedule": 10.0},
    "sweep-campaigns": {"task": "campaigns.sweep", "schedule": 30.0},
    "watch": {"task": "campaigns.watch", "schedule": 30.0},
    "read-relay-logs": {"task": "campaigns.read_relay_logs", "schedule": 15.0},
    "process-inbound": {"task": "campaigns.process_inbound", "schedule": 20.0},
    "answer-lost-links": {"task": "campaigns.answer_lost_links", "schedule": 10.0},
    "check-domains": {"task": "accounts.check_domains", "schedule": 300.0},
    "send-digests": {"task": "accounts.send_digests", "schedule": crontab(hour="6", minute="30")},
    "export-ledger-head": {"task": "accounts.export_ledger_head", "schedule": crontab(minute="7")},
    "check-registers": {"task": "compliance.check_registers", "schedule": 600.0},
    "retention": {"task": "pages.retention", "schedule": crontab(hour="3", minute="20")},
    "resume-imports": {"task": "compliance.resume_imports", "schedule": 30.0},
    "remember-lists": {"task": "compliance.remember_lists", "schedule": 60.0},
    "count-people": {"task": "compliance.count_people", "schedule": 15.0},
    "carry-tag-orders": {"task": "compliance.carry_tag_orders", "schedule": 15.0},
    "judge-reputation": {"task": "abuse.judge_reputation", "schedule": 60.0},
    "count-months": {"task": "abuse.count_months", "schedule": crontab(minute="22")},
    "remind-staff": {"task": "abuse.remind", "schedule": 900.0},
}
