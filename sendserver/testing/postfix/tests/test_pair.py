"""The pair: the verdict names what is wrong; the log of a relay is read as the product reads it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

from sendserver.testing.postfix.pair import Run, Verdict

LOG = """\
Nov 23 10:00:00 o postfix-out1/smtpd[1]: Anonymous TLS connection established from unknown[127.0.0.1]: TLSv1.3
Nov 23 10:00:00 o postfix-out1/smtpd[1]: A1B2C3D4: client=unknown[127.0.0.1], sasl_method=PLAIN, sasl_username=portal
Nov 23 10:00:00 o postfix-out1/cleanup[1]: A1B2C3D4: message-id=<one@mail.example>
Nov 23 10:00:00 o postfix-out1/qmgr[1]: A1B2C3D4: from=<b.one@news.example>, size=9, nrcpt=1 (queue active)
Nov 23 10:00:09 o postfix-out1/qmgr[1]: A1B2C3D4: from=<b.one@news.example>, size=9, nrcpt=1 (queue active)
Nov 23 10:00:10 o postfix-out1/qmgr[1]: A1B2C3D5: from=<b.one@news.example>, size=9, nrcpt=1 (queue active)
Nov 23 10:00:10 o postfix-out1/smtpd[1]: A1B2C3D6: client=unknown[127.0.0.1]
"""


def test_a_message_counts_once_for_each_queue_id(tmp_path: Path) -> None:
    path = tmp_path / "maillog"
    path.write_text(LOG)
    book = Run._read_log(None, SimpleNamespace(log=path))
    assert book.taken == ["one", "one"]  # the same id again is a relay that started anew; another id is a second copy
    assert (book.secured, book.without_password) == (True, 1)


def test_a_verdict_with_a_problem_is_not_ok() -> None:
    verdict = Verdict()
    verdict.equal("sink", 5000, 5000)
    assert json.loads(verdict.as_json()) == {"sink": 5000, "problems": [], "ok": True}
    verdict.equal("relays' logs", 4999, 5000)
    verdict.claim(False, "the other relay did not go on")
    told = json.loads(verdict.as_json())
    assert (told["ok"], len(told["problems"])) == (False, 2)
