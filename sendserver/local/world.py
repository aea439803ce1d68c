"""Which processes make the portal on one machine, in which order, with which environment. Starts nothing."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sendserver.local import keys, ports
from sendserver.local.config import Config
from sendserver.local.errors import LauncherError
from sendserver.local.instance import MARK
from sendserver.local.processes import Spec

if TYPE_CHECKING:  # at run time it needs packages that may not be installed yet
    from sendserver.local.services import Services

RELAYS = ("RELAY_1_URL", "RELAY_2_URL")
RELAY_NAMES = ("out1.sendserver.example", "out2.sendserver.example")
SELF_TEST = "loop.sendserver.example"  # what the local relays bring back to the inbound door
# Who runs the local world: invented, so that about, privacy and footers show what an operator fills in.
OPERATOR = {
    "PLATFORM_LEGAL_NAME": "Agency Sendserver Ltd.",
    "PLATFORM_POSTAL_ADDRESS": "12 Harbour Row, Exampleton EX1 4TT",
    "PLATFORM_COUNTRY": "GB",
    "PLATFORM_REGISTER": "Exampleton, no. 0412 7735",
    "PLATFORM_RESPONSIBLE_PERSON": "Ruth Adeyemi, managing director",
}
CELERY = ("-m", "celery", "-A", "sendserver.celery")
PATIENCE = 8.0  # seconds a process gets to end by itself
WORKER_PATIENCE = 15.0
LANE_PATIENCE = 25.0  # a lane may finish what is on the wire
# Whatever the caller's locale says; and a log is worth most when a process has just died.
INTERPRETER = {"DJANGO_SETTINGS_MODULE": "sendserver.settings", "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}


@dataclass(frozen=True)
class LocalPorts:
    """Ports of this run, found free."""

    inbound: int
    relays: tuple[int, int]
    dns: tuple[int, int]

    @classmethod
    def find(cls) -> "LocalPorts":
        """Return five free ports."""
        one, two, three, four, five = ports.free_ports(5)
        return cls(one, (two, three), (four, five))


@dataclass(frozen=True)
class Stage:
    """Processes that are started together, and the ports that must answer before the next stage."""

    specs: tuple[Spec, ...]
    wait_for: tuple[int, ...] = ()


def is_local(environ: Mapping[str, str]) -> bool:
    """Return whether the two relays are ours. Raises LauncherError when only one real relay is named."""
    named = [name for name in RELAYS if environ.get(name)]
    if len(named) == 1:
        missing = next(name for name in RELAYS if name not in named)
        raise LauncherError(f"{named[0]} is set and {missing} is not. Set both relays, or neither for the local ones.")
    return not named


def environment(config: Config, services: "Services", local: LocalPorts) -> dict[str, str]:
    """Return what every process of ours gets: the caller's environment, the services, the keys.

    What the operator set himself wins over what is made here.
    """
    given = config.environ
    made = {
        **application_environment(config),
        "DATABASE_URL": services.database_url,
        "DATABASE_OWNER_URL": services.database_owner_url,
        "REDIS_URL": services.redis_url,
        "INBOUND_LISTEN": f"127.0.0.1:{local.inbound}",
    }
    if is_local(given):
        for name, host, port in zip(RELAYS, RELAY_NAMES, local.relays, strict=True):
            made[name] = f"smtp://127.0.0.1:{port}?name={host}"
        made.update(OPERATOR)
        made["RELAY_SELF_TEST"] = SELF_TEST
        made["LIST_LOOKUPS"] = "off"  # nobody's domain is in the small DNS, so every list would look dead
        made["DNS_SERVERS"] = ",".join(f"127.0.0.1:{port}" for port in local.dns)
    chosen = {name: given.get(name) or value for name, value in made.items() if given.get(name) or value}
    switches = {"LOCAL_WORLD": "on" if is_local(given) else "off", "DEBUG": "off"}
    return {**given, **chosen, **switches, **INTERPRETER}


def application_environment(config: Config) -> dict[str, str]:
    """Return what the code needs without any service: keys, folder and address."""
    return {
        **keys.application_keys(config.var / "secrets"),
        "VAR_DIR": str(config.var),
        "BASE_URL": config.base_url,
    }


@dataclass(frozen=True)
class World:
    """The specs of one run."""

    config: Config
    env: Mapping[str, str]
    local: LocalPorts

    def python(self, name: str, *arguments: str, patience: float = PATIENCE) -> Spec:
        """Return the spec of one process of our own code; its log is `log/<name>.log`."""
        return Spec(
            name=name,
            argv=[str(self.config.python), *arguments],
            env={**self.env, MARK: str(self.config.var)},
            cwd=self.config.root,
            log=self.config.var / "log" / f"{name}.log",
            stop_signals=((signal.SIGTERM, patience),),
        )

    def migrate(self) -> Spec:
        """Return the migration, run with the owner's role."""
        return self.python("migrate", "manage.py", "migrate", "--database", "owner", "--noinput")

    def demo(self) -> Spec:
        """Return what loads the demo story once."""
        spec = self.python("demo", "manage.py", "demo_story")
        return replace(spec, env={**spec.env, "RELAY_SELF_TEST": ""})  # it sends before the door is open

    def surroundings(self) -> Stage:
        """Return the local world that must answer before the demo story is told: names and relays."""
        dns = replace(self.python("dns", "-m", "sendserver.local.dns"), may_end_early=False)
        relays = replace(self.python("relays", "-m", "sendserver.local.relay"), may_end_early=False)
        return Stage((dns, relays), (*self.local.relays, *self.local.dns))

    def portal(self) -> Stage:
        """Return the portal itself; the last named are the first to be stopped."""
        lanes = tuple(
            self.python(name, "-m", "sendserver.lane", name, patience=LANE_PATIENCE) for name in ("relay-1", "relay-2")
        )
        others = (
            self._worker("work", "work,inbound", "-c", "2", patience=WORKER_PATIENCE),
            self.python("imports", "-m", "sendserver.importer", patience=WORKER_PATIENCE),
            self.python("inbound", "manage.py", "inbound_door"),
            self.python("beat", *CELERY, "beat", "-s", str(self._schedule()), "--pidfile="),
        )
        people = (self.python("people", "-m", "sendserver.local.recipients"),) if is_local(self.config.environ) else ()
        return Stage((self._web(), *lanes, *others, *people))

    def _schedule(self) -> Path:
        return self.config.var / "run" / "beat-schedule"

    def _web(self) -> Spec:
        serving = ["--worker-class", "gthread", "--workers", "2", "--threads", "4", "--preload"]
        ending = ["--graceful-timeout", "5", "--no-control-socket"]
        return self.python("web", "-m", "gunicorn", "sendserver.wsgi", "-b", self.config.bind, *serving, *ending)

    def _worker(self, name: str, queues: str, *more: str, patience: float) -> Spec:
        """Return a Celery worker; it need not know of the others, so gossip and mingle are off."""
        command = [*CELERY, "worker", "-Q", queues, "-n", f"{name}@local"]
        quiet = ["--without-gossip", "--without-mingle"]
        return self.python(name, *command, *quiet, *more, patience=patience)
