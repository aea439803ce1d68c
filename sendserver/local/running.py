"""`run`: from nothing to a portal that answers, and back. Needs the installed environment."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from sendserver.local import ports, processes
from sendserver.local.bootstrap import MB, refuse_full_disk
from sendserver.local.config import Config
from sendserver.local.console import complain, say, step
from sendserver.local.errors import LauncherError
from sendserver.local.instance import Instance
from sendserver.local.services import Services, start_postgres, start_valkey
from sendserver.local.supervisor import Stopped, Supervisor
from sendserver.local.world import LocalPorts, Stage, World, environment, is_local

SPACE_TO_RUN = 400 * MB  # bytes: a fresh database, its write-ahead log at full size, logs
PORTS_PATIENCE = 20.0  # seconds
WEB_PATIENCE = 60.0
DEMO_TOLD = "demo-told"


def serve(config: Config, instance: Instance) -> int:
    """Start everything, print where it answers, keep it running until a signal, end it in order."""
    supervisor = Supervisor(instance)
    try:
        world = begin(config, supervisor)
        greet(world)
        supervisor.watch()
    except Stopped as stopped:
        say(f"\n  {stopped}: ending everything in order ...")
        supervisor.end_all()
        say("  Everything has ended.")
        return 0
    finally:
        supervisor.end_all()


def begin(config: Config, supervisor: Supervisor) -> World:
    """Bring the portal up, stage by stage, and return its world. Raises LauncherError."""
    refuse_full_disk(config.var, SPACE_TO_RUN, "the database")
    local_world = is_local(config.environ)
    services = start_services_for(config, supervisor)
    local = LocalPorts.find()
    world = World(config, environment(config, services, local), local)
    return _with_portal(world, supervisor, local_world=local_world)


def _with_portal(world: World, supervisor: Supervisor, *, local_world: bool) -> World:
    keep_environment(world)
    migrate(world, supervisor)
    if local_world:
        with step("Starting the local world: names, two relays"):
            start_stage(world.surroundings(), supervisor)
        tell_demo(world, supervisor)
    with step("Starting the portal: web, two lanes, work, beat, inbound door"):
        start_stage(world.portal(), supervisor)
        wait_for_web(world, supervisor)
    return world


def start_services_for(config: Config, supervisor: Supervisor) -> Services:
    """Start the services that the operator has not named, and put them under supervision."""
    services = Services()
    if config.environ.get("DATABASE_OWNER_URL") and not config.environ.get("DATABASE_URL"):
        raise LauncherError("DATABASE_OWNER_URL is set and DATABASE_URL is not. Set both, or neither.")
    if not config.environ.get("DATABASE_URL"):
        with step("Starting PostgreSQL"):
            start_postgres(services, config.var, durable=True)
            supervisor.adopt(*services.processes.pop())
    if not config.environ.get("REDIS_URL"):
        with step("Starting Valkey"):
            start_valkey(services, config.var, durable=True)
            supervisor.adopt(*services.processes.pop())
    return services


def keep_environment(world: World) -> None:
    """Write the environment of this run for `manage`; it holds passwords, so only we may read it."""
    path = environment_file(world.config)
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
        json.dump(dict(world.env), file)


def environment_file(config: Config) -> Path:
    """Return where the environment of the last run stands."""
    return config.var / "run" / "environment.json"


def migrate(world: World, supervisor: Supervisor) -> None:
    """Bring the database to the code's state. Raises LauncherError with the end of the log."""
    spec = world.migrate()
    with step("Migrating the database"):
        code = supervisor.once(spec)
    if code != 0:
        raise LauncherError(f"The database could not be migrated. The end of {spec.log}:\n{processes.tail(spec.log)}")


def tell_demo(world: World, supervisor: Supervisor) -> None:
    """Load the demo story the first time; a portal without it is better than none, so a failure only complains."""
    told = world.config.var / DEMO_TOLD
    if told.exists():
        return
    spec = world.demo()
    with step("Loading the demo story (once)"):
        code = supervisor.once(spec)
    if code == 0:
        told.touch()
    else:
        complain(f"  The demo story could not be loaded; starting without it. See {spec.log}")


def start_stage(stage: Stage, supervisor: Supervisor) -> None:
    """Start the processes of a stage and wait until its ports answer."""
    for spec in stage.specs:
        supervisor.start(spec)
    deadline = time.monotonic() + PORTS_PATIENCE
    waiting = set(stage.wait_for)
    while waiting and time.monotonic() < deadline:
        waiting = {port for port in waiting if not ports.is_taken(port)}
        time.sleep(0.05)
    if waiting:
        names = ", ".join(spec.name for spec in stage.specs)
        complain(f"  Not all of {names} listen yet; going on. Their logs are in {stage.specs[0].log.parent}")


def wait_for_web(world: World, supervisor: Supervisor) -> None:
    """Wait until the first page is served. Raises LauncherError when the web server ends or stays silent."""
    web = next(child for child in supervisor.children if child.spec.name == "web")
    deadline = time.monotonic() + WEB_PATIENCE
    while time.monotonic() < deadline and web.process.poll() is None:
        status = first_page(world.config)
        if status >= 500:
            complain(f"  The first page answers {status}. See {web.spec.log}")
        if status:
            return
        time.sleep(0.1)
    raise LauncherError(f"The web server did not start. The end of {web.spec.log}:\n{processes.tail(web.spec.log)}")


def first_page(config: Config) -> int:
    """Return the status of `/`, 0 while nobody answers."""
    host = config.host if config.host not in ("", "0.0.0.0", "::") else "127.0.0.1"
    name = f"[{host}]" if ":" in host else host
    request = urllib.request.Request(f"http://{name}:{config.port}/", headers={"Host": f"localhost:{config.port}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Plain())  # no proxy, no redirect
    try:
        with opener.open(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


class _Plain(urllib.request.HTTPRedirectHandler):
    """Take a redirect for an answer: it may lead to an https address that only a proxy serves."""

    def redirect_request(self, *_: object) -> None:
        return None


def greet(world: World) -> None:
    """Print the address, the demo logins with what to click, and how to end it."""
    say()
    say(f"Sendserver answers at {world.config.base_url}")
    if world.env["LOCAL_WORLD"] == "on":
        say(demo_logins(world))
        say(f"Every mail that leaves can be read at {world.config.base_url}/local/outbox/")
    say(f"Logs: {world.config.var / 'log'}    Ctrl-C ends everything; make reset starts the story anew.")
    say()


def demo_logins(world: World) -> str:
    """Return the demo people with passwords and current codes; "" when there is no story."""
    argv = [str(world.config.python), "manage.py", "demo_logins"]
    answer = subprocess.run(
        argv, env=dict(world.env), cwd=world.config.root, capture_output=True, text=True, check=False
    )
    return answer.stdout.rstrip() if answer.returncode == 0 else ""
