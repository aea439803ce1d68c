"""smtp-sink and smtp-source out of Debian's packages: fetched and unpacked, nothing installed, no script run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from campaigns.bench.errors import ToolsMissingError

PACKAGES: Final = ("postfix", "libicu72", "libdb5.3", "libnsl2", "libsasl2-2")
PATIENCE: Final = 180.0  # seconds for the download of 12 MB


@dataclass(frozen=True)
class Tools:
    """Unpacked programs."""

    root: Path

    @property
    def sink(self) -> Path:
        """Return smtp-sink, which takes mail and throws it away."""
        return self.root / "usr/sbin/smtp-sink"

    @property
    def source(self) -> Path:
        """Return smtp-source, which sends one message over and over."""
        return self.root / "usr/sbin/smtp-source"

    @property
    def version(self) -> str:
        """Return Postfix's version as its package names it."""
        return (self.root / "version").read_text(encoding="ascii").strip()

    def environment(self) -> dict[str, str]:
        """Return the variables under which the programs find their libraries."""
        folders = [self.root / "usr/lib/postfix", *sorted((self.root / "usr/lib").glob("*-linux-gnu*"))]
        return {"LD_LIBRARY_PATH": ":".join(map(str, folders)), "PATH": os.defpath, "LC_ALL": "C"}


def fetch(cache: Path, packages: Sequence[str] = PACKAGES, *, name: str = "postfix") -> Tools:
    """Return the programs, from the folder `name` in `cache` when they are there; raises ToolsMissingError."""
    root = cache / name
    if not root.exists():
        draft = cache / f"draft-{os.getpid()}"
        shutil.rmtree(draft, ignore_errors=True)
        (draft / "packages").mkdir(parents=True)
        try:
            _unpack(draft, packages)
            draft.rename(root)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    tools = Tools(root)
    _refuse_broken(tools)
    return tools


def _unpack(draft: Path, names: Sequence[str]) -> None:
    packages = draft / "packages"
    _run(["apt-get", "download", *names], packages)
    found = sorted(packages.glob("*.deb"))
    for package in found:
        _run(["dpkg-deb", "-x", str(package), str(draft)], packages)
    postfix = next(package for package in found if package.name.startswith("postfix_"))
    version = _run(["dpkg-deb", "-f", str(postfix), "Version"], packages)
    (draft / "version").write_text(version, encoding="ascii")
    shutil.rmtree(packages)


def _run(argv: list[str], folder: Path) -> str:
    try:
        answer = subprocess.run(  # noqa: S603 (our own words)
            argv, cwd=folder, capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolsMissingError(_sentence(str(error))) from error
    if answer.returncode != 0:
        said = answer.stderr.strip().splitlines() or ["it failed without a word"]
        raise ToolsMissingError(_sentence(f"{argv[0]}: {said[-1]}"))
    return answer.stdout


def _sentence(why: str) -> str:
    return f"smtp-sink and smtp-source could not be fetched from Debian's packages {', '.join(PACKAGES)} ({why})."


def _refuse_broken(tools: Tools) -> None:
    """Ask the linker, since these libraries fit one release of Debian."""
    environ: Mapping[str, str] = tools.environment()
    for program in (tools.sink, tools.source):
        answer = subprocess.run(  # noqa: S603
            ["/usr/bin/ldd", str(program)], env=dict(environ), capture_output=True, text=True, check=False
        )
        if answer.returncode != 0 or "not found" in answer.stdout:
            raise ToolsMissingError(f"{program.name} does not run on this system: a library is missing.")
