"""What a web project would write first: EmailMessage and smtplib.send_message in a loop, the connection kept.

The literal loop, not a straw man: values are filled into a ready template by one regular expression, and nothing is
recorded. Run as a helper of campaigns.bench.processes, two processes at a time.
"""

from __future__ import annotations

import json
import re
import smtplib
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

from campaigns.bench.processes import serve_order

_FIELD: Final = re.compile(r"{{\s*(\w+)[^}]*}}")


def fill(template: str, values: dict[str, str]) -> str:
    """Return the template with its fields replaced."""
    return _FIELD.sub(lambda found: values.get(found[1], ""), template)


def message_for(order: dict[str, Any], number: int) -> EmailMessage:
    """Return the message for one recipient."""
    values = {**order["values"], "first_name": f"Reader {number}"}
    message = EmailMessage()
    message["Subject"] = fill(order["subject"], values)
    message["From"] = order["from"]
    message["To"] = f"Reader {number} <{order['recipient'] % number}>"
    for name, value in order["headers"].items():
        message[name] = value
    message.set_content(fill(order["text"], values))
    message.add_alternative(fill(order["html"], values), subtype="html")
    return message


def work(order: dict[str, Any]) -> dict[str, Any]:
    """Send `messages` messages one after the other."""
    order |= json.loads(Path(order["content"]).read_text(encoding="utf-8"))
    with smtplib.SMTP("127.0.0.1", order["port"]) as server:
        for number in range(order["first"], order["first"] + order["messages"]):
            server.send_message(message_for(order, number), from_addr=order["sender"])
    return {"sent": order["messages"]}


if __name__ == "__main__":
    serve_order(work)
