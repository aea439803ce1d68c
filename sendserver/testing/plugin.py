"""Pytest fixtures of the whole project: database, cache, clock, personas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from django.core.cache import cache, caches
from django.core.cache.backends.redis import RedisCache
from django.test import TransactionTestCase, override_settings
from hypothesis import HealthCheck
from pytest_django.plugin import DjangoDbBlocker

from sendserver.testing import databases

# A busy machine is no fault of what is tested: an example may take as long as it takes.
hypothesis.settings.register_profile("sendserver", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis.settings.load_profile("sendserver")
pytest_plugins = ["sendserver.testing.personas", "sendserver.testing.browser"]


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Give this process its own copy of the migrated template, used as the application's role."""
    with django_db_blocker.unblock():
        databases.ensure_template()
        databases.make_copy()
        yield
        databases.drop_copy()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files with slow tests in front: one of them left for the end keeps the other processes waiting."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> None:
    """Before a test meets the database, let its connections know the present copy."""
    if fixturedef.argname == "_django_db_helper":
        databases.keep_up()


@pytest.fixture(autouse=True, scope="session")
def _copies_instead_of_flushes() -> Iterator[None]:
    """After a test that committed, throw the copy away; Django's own way would need TRUNCATE."""
    original = TransactionTestCase._fixture_teardown

    def teardown(self: TransactionTestCase, *_: Any) -> None:
        databases.make_copy()

    TransactionTestCase._fixture_teardown = teardown  # type: ignore[method-assign]
    yield
    TransactionTestCase._fixture_teardown = original  # type: ignore[method-assign]


@pytest.fixture(autouse=True, scope="session")
def _cheap_passwords() -> Iterator[None]:
    """Hash passwords of test people at once: the real hasher is made to be slow, once for each sign-in."""
    quick, real = "MD5PasswordHasher", "ScryptPasswordHasher"
    with override_settings(PASSWORD_HASHERS=[f"django.contrib.auth.hashers.{name}" for name in (quick, real)]):
        yield


@pytest.fixture(autouse=True)
def _fresh_cache(request: pytest.FixtureRequest, settings: Any, worker_prefix: str) -> Iterator[None]:
    """Give each test its own corner of the shared Redis, so limits of one test do not reach the next."""
    cache.key_prefix = f"{worker_prefix}:{abs(hash(request.node.nodeid))}"
    settings.LIMIT_PREFIX = cache.key_prefix
    caches.settings["default"]["KEY_PREFIX"] = cache.key_prefix  # for the live server's threads
    return


@pytest.fixture(autouse=True)
def _own_files(tmp_path_factory: pytest.TempPathFactory, settings: Any) -> None:
    """Give each test its own VAR_DIR: a head of the ledger that one test signed is no witness against the next."""
    var = tmp_path_factory.mktemp("var")
    settings.VAR_DIR, settings.MEDIA_ROOT, settings.JOURNAL_DIR = var, var / "uploads", var / "journal"


@pytest.fixture(autouse=True, scope="session")
def _nobody_empties_the_cache() -> Iterator[None]:
    """Refuse `cache.clear()`: it empties the server, and with it the counters of tests in other processes."""

    def refuse(self: RedisCache) -> None:
        raise AssertionError("cache.clear() empties everybody's Redis. Delete the one key.")

    original = RedisCache.clear
    RedisCache.clear = refuse  # type: ignore[method-assign, assignment]
    yield
    RedisCache.clear = original  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def worker_prefix() -> str:
    """Return a prefix that no other process uses."""
    return databases.copy_name()
