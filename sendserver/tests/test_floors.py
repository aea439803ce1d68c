"""Imports point down only; the table of docs/architecture.md, checked on every source file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.db.models import Field

ROOT = Path(__file__).resolve().parents[2]
ROOF = 5
FLOORS = {"sendserver.lib": 0, "accounts": 1, "compliance": 2, "campaigns": 3, "abuse": 4, "sendserver": ROOF}
MAX_LINES = 400
# Modules of Django and allauth that wire control flow invisibly; anymail's enums live beside its signals and are fine.
SIGNAL_MODULES = (
    "django.dispatch",
    "django.db.models.signals",
    "django.core.signals",
    "django.contrib.auth.signals",
    "allauth.account.signals",
    "allauth.mfa.signals",
)


def floor_of(module: str) -> int | None:
    """Return the floor of a module of ours; None for somebody else's."""
    names = module.split(".")
    for length in (2, 1):
        floor = FLOORS.get(".".join(names[:length]))
        if floor is not None:
            return floor
    return None


def source_files() -> list[Path]:
    """Return every source file of ours, tests left out: they may look from above."""
    found = [ROOT / "manage.py"]
    for top in ("sendserver", "accounts", "compliance", "campaigns", "abuse"):
        found += sorted((ROOT / top).rglob("*.py"))
    return [path for path in found if "tests" not in path.parts]


def module_name(path: Path) -> str:
    """Return the dotted name of a file."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, source: str | None = None) -> Iterator[tuple[int, str]]:
    """Yield line and full dotted name of everything imported, inside functions and by name too."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(source if source is not None else path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _is_import_call(node):
            yield node.lineno, str(node.args[0].value)  # type: ignore[attr-defined]


def _is_import_call(node: ast.Call) -> bool:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    literal = bool(node.args) and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
    return name in ("import_module", "__import__", "import_string") and literal


def breaches(path: Path, source: str | None = None) -> list[str]:
    """Return what a file imports from above, in words."""
    own = floor_of(module_name(path))
    found = []
    for line, name in imports(path, source):
        floor = floor_of(name)
        if own is not None and floor is not None and floor > own:
            found.append(f"{path.relative_to(ROOT)}:{line} (floor {own}) imports {name} (floor {floor})")
    return found


@pytest.mark.parametrize("path", source_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    assert breaches(path) == []


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("accounts/x.py", "from compliance.models import Contact"),
        ("compliance/x.py", "def f():\n    import campaigns.events"),
        ("campaigns/x.py", "from abuse import reputation"),
        ("sendserver/lib/x.py", "from accounts import models"),
        ("abuse/x.py", "from sendserver import urls"),
        ("abuse/x.py", "from sendserver.local.demo import tell"),
        ("accounts/x.py", "import_module('campaigns.events')"),
    ],
)
def test_a_breach_is_found(place: str, source: str) -> None:
    assert len(breaches(ROOT / place, source)) == 1


def test_downward_imports_are_fine() -> None:
    source = (
        "from accounts.models import User\nfrom sendserver.lib import clock\nimport sendserver.lib.tokens\nimport os"
    )
    assert breaches(ROOT / "abuse" / "x.py", source) == []


def test_importing_lib_does_not_load_the_roof() -> None:
    assert (ROOT / "sendserver" / "__init__.py").read_text(encoding="utf-8").strip() == ""


def test_no_signals() -> None:
    """Control flow is visible in calls, so nobody listens to a signal and nobody makes one."""
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in source_files()
        for line, name in imports(path)
        if name.startswith(SIGNAL_MODULES)
    ]
    assert found == []


def _relations() -> Iterator[tuple[str, str, str]]:
    for model in apps.get_models():
        for field in model._meta.get_fields():
            if isinstance(field, Field) and field.is_relation and field.related_model:
                yield model.__module__, field.name, field.related_model.__module__


def test_foreign_keys_point_down_too() -> None:
    """A key named by a string is an import in disguise."""
    found = [
        f"{module}.{field} points to {target}"
        for module, field, target in _relations()
        if (floor_of(target) or 0) > (floor_of(module) or 0) and floor_of(module) is not None
    ]
    assert found == []


def test_files_stay_short() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in source_files()
        if "migrations" not in path.parts and (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert long == {}
