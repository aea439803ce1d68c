"""`python3 -m sendserver.local run|test|reset|check|manage`: the way in, for any Python that finds it.

Written for old Pythons too, so that they can say which one is needed. Uses the standard library only.
"""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OLDEST, NEWEST = (3, 11), (3, 13)
# What a caller's shell may hold for another project, and what would change which code runs here.
FOREIGN = ("VIRTUAL_ENV", "DJANGO_SETTINGS_MODULE", "__PYVENV_LAUNCHER__")
PROBE = f"import ensurepip, sys, venv; sys.exit(not {OLDEST} <= sys.version_info[:2] <= {NEWEST})"


def foreign_names() -> "list[str]":
    """Return the names of the caller's variables that are ignored."""
    return [name for name in os.environ if name.startswith("PYTHON") or name in FOREIGN]


def suitable_python() -> "str | None":
    """Return a Python of a supported version that can make environments, this one first; None without one."""
    for candidate in [sys.executable, "python3.13", "python3.12", "python3.11", "python3"]:
        try:
            if subprocess.call([candidate, "-E", "-c", PROBE], stderr=subprocess.DEVNULL) == 0:
                return candidate
        except OSError:
            continue
    return None


def start_over(python: str) -> None:
    """Replace this process by one of `python` without the caller's variables; the process id stays."""
    environ = {name: value for name, value in os.environ.items() if name not in foreign_names()}
    arguments = [python, "-m", "sendserver.local", *sys.argv[1:]]
    os.chdir(ROOT)
    os.execvpe(python, arguments, environ)


def main() -> int:
    """Find the right Python and environment, then hand over to `sendserver.local.commands`."""
    os.environ.setdefault("VAR_DIR", os.path.join(ROOT, "var"))
    os.environ["VAR_DIR"] = os.path.abspath(os.environ["VAR_DIR"])  # before the working directory changes
    inside = os.path.realpath(sys.prefix) == os.path.realpath(os.path.join(ROOT, ".venv"))
    if foreign_names() or not (inside or (OLDEST <= sys.version_info[:2] <= NEWEST and _makes_environments())):
        python = sys.executable if inside else suitable_python()
        if python is None:
            sys.stderr.write(
                "Sendserver needs Python 3.11, 3.12 or 3.13 with its venv module, and found none. "
                "On Debian: apt-get install python3 python3-venv\n"
            )
            return 1
        start_over(python)
    os.chdir(ROOT)
    from sendserver.local import commands

    return commands.main(sys.argv[1:])


def _makes_environments() -> bool:
    try:
        import ensurepip  # noqa: F401 -- Debian splits it off into python3-venv
    except ImportError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
