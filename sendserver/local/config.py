"""What the caller asked for, read once from the environment, and what of his environment is passed on."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sendserver.local import ports
from sendserver.local.errors import LauncherError

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_PORT = 8000
ANY_ADDRESS = ("", "0.0.0.0", "::")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
MARKER = ".sendserver"  # in a VAR_DIR of ours; reset empties no other folder
# Settings of other programs that would reach ours through the environment.
FOREIGN_PREFIXES = ("PYTHON", "PG", "CELERY", "GUNICORN_")
FOREIGN_NAMES = ("VIRTUAL_ENV", "DJANGO_SETTINGS_MODULE", "DEBUG", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")


@dataclass(frozen=True)
class Config:
    """One installation: where its code and data are, where it answers, and the caller's environment, cleaned."""

    root: Path
    var: Path
    host: str
    port: int
    environ: Mapping[str, str]

    @property
    def base_url(self) -> str:
        """Return the address to print and to put into mail; passkeys need a name, so never an IP of loopback."""
        if self.environ.get("BASE_URL"):
            return self.environ["BASE_URL"].rstrip("/")
        name = "localhost" if self.host in ANY_ADDRESS + LOOPBACK else self.host
        return f"http://{name}:{self.port}"

    @property
    def python(self) -> Path:
        """Return the interpreter of the environment, which may not stand yet."""
        return self.root / ".venv" / "bin" / "python"

    @property
    def bind(self) -> str:
        """Return host and port in the form that servers take."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the caller's variables without those meant for other programs. pip's own settings stay."""
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(FOREIGN_PREFIXES) and name not in FOREIGN_NAMES
    }


def read(environ: Mapping[str, str], root: Path = ROOT) -> Config:
    """Return the configuration. Raises LauncherError for a PORT that is no port."""
    text = environ.get("PORT") or str(DEFAULT_PORT)
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65_536:
        raise LauncherError(f"PORT is {text!r}; it takes a number from 1 to 65535, such as PORT=8010.")
    var = Path(environ.get("VAR_DIR") or root / "var").absolute()
    return Config(root, var, environ.get("HOST") or "127.0.0.1", int(text), clean(environ))


def prepare_var(config: Config) -> None:
    """Make VAR_DIR ours: create it, mark it, see that it can be written. Raises LauncherError."""
    var = config.var
    try:
        if var != config.root / "var" and var.is_dir() and any(var.iterdir()) and not (var / MARKER).exists():
            raise LauncherError(f"VAR_DIR {var} holds files that are not Sendserver's. Name an empty or a new folder.")
        var.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        for name in ("log", "run", "static"):  # WhiteNoise warns of a missing static
            (var / name).mkdir(mode=0o700, exist_ok=True)
        (var / MARKER).touch()
        (var / "log" / ".writable").touch()
    except OSError as error:
        raise LauncherError(
            f"{var} cannot be written ({error.strerror}). Start as the user who made it, or set VAR_DIR."
        ) from error


def refuse_taken_port(config: Config) -> None:
    """Raise LauncherError with a way out unless the web server can listen."""
    try:
        taken = ports.is_taken(config.port, config.host)
    except PermissionError:
        raise LauncherError(f"Only root may use port {config.port}. Choose another: PORT=8010 make run") from None
    except ports.NoSuchAddressError:
        raise LauncherError(f"HOST is {config.host!r}, which is no address of this machine.") from None
    if taken:
        free = ports.free_from(config.port + 1, config.host)
        raise LauncherError(
            f"Port {config.port} on {config.host} is taken by another program. Choose another: PORT={free} make run"
        )
