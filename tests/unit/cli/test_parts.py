"""Parts of the system that tests need: installed where that may be done, else told, and missed in CI."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import parts
from tests.real_process import PROJECT, clean_environment

APT = """#!/bin/sh
echo "$DEBIAN_FRONTEND $*" >> {log}
case "$*" in *chromium*) printf '#!/bin/sh\\n' > {bin}/chromium; chmod +x {bin}/chromium;; esac
"""


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which there is nothing but `env` and a shell; returns where programs go."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("env", "sh", "chmod"):
        (folder / name).symlink_to(f"/bin/{name}" if Path(f"/bin/{name}").exists() else f"/usr/bin/{name}")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(parts, "BROWSERS", ())
    monkeypatch.setattr(parts, "POSTGRES", tmp_path)
    monkeypatch.setattr(parts, "_bundled", lambda *_: None)
    monkeypatch.setattr(parts, "_AGUI", tmp_path)
    monkeypatch.delenv("CI", raising=False)
    return folder


def script(bare: Path, name: str, text: str) -> None:
    (bare / name).write_text(text)
    (bare / name).chmod(0o755)


@pytest.mark.parametrize(
    ("user", "sudo", "installs"), [(0, None, True), (1000, 0, True), (1000, 1, False), (1000, None, False)]
)
def test_what_is_missing_is_installed_where_nobody_is_asked_for_a_password(
    bare: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    user: int,
    sudo: int | None,
    installs: bool,
) -> None:
    log = bare.parent / "apt.log"
    script(bare, "apt-get", APT.format(log=log, bin=bare))
    if sudo is not None:  # with a password asked for, `sudo -n` fails
        script(bare, "sudo", '#!/bin/sh\nshift\n[ "$1" = true ] && exit %d\nexec "$@"\n' % sudo)  # noqa: UP031
    monkeypatch.setattr("os.geteuid", lambda: user)

    assert parts.main() == 0, "a person's own run is not stopped by it"

    said = capfd.readouterr().out
    asked = log.read_text() if log.exists() else ""
    assert ("noninteractive install -y -qq --no-install-recommends prometheus" in asked) is installs
    assert (parts.CHROMIUM.find() is not None) is installs
    assert (
        "Chromium is missing, so tests that need it do not run: sudo apt-get install chromium" in said
    ) is not installs
    assert "promtool is missing" in said, "the package manager did not bring it"
    monkeypatch.setenv("CI", "true")
    assert parts.main() == 1
    assert "promtool is missing, so tests that need it fail" in capfd.readouterr().out


def test_on_macos_it_says_what_brew_calls_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert [part.how() for part in parts.PARTS if "brew install" not in part.how()] == []


@pytest.mark.parametrize("ci", [False, True])
def test_the_end_of_a_run_says_what_did_not_run_and_how_to_get_the_part(tmp_path: Path, ci: bool) -> None:
    test = "tests/resilience/deploy/test_deploy.py::test_prometheus_takes_the_rules_and_its_configuration"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", test]
    env = clean_environment(PATH=str(tmp_path), CI="true" if ci else "false")

    ran = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, check=False, timeout=120)

    said = " ".join(ran.stdout.split())
    if ci:
        assert ran.returncode == 1, ran.stdout
        assert "promtool is missing: sudo apt-get install prometheus" in said
    else:
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "not run: a part is missing on this machine" in said
        assert (
            "promtool: 1 did not run (tests/resilience/deploy/test_deploy.py) get it: sudo apt-get install prometheus"
            in said
        )
