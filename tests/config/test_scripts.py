"""What bin/run says on a machine that lacks something."""

import shutil
import subprocess
from pathlib import Path

import pytest

BIN = Path(__file__).resolve().parents[2] / "bin"
TOOLS = ("cat", "cmp", "dirname", "id", "mkdir", "rm", "sh", "sleep")
NO_PYTHON = 'case "$2" in *version_info*) exit 1;; esac'
NO_VENV = 'case "$2" in *ensurepip*) exit 1;; esac'


@pytest.fixture
def run(tmp_path: Path):
    """Run bin/run of an empty clone on a machine whose Python does what a script says."""

    def run(python: str) -> subprocess.CompletedProcess[str]:
        tools = tmp_path / "tools"
        tools.mkdir()
        for tool in TOOLS:
            (tools / tool).symlink_to(shutil.which(tool) or tool)
        (tools / "python3").write_text(f"#!/bin/sh\n{python}\n")
        (tools / "python3").chmod(0o755)
        shutil.copytree(BIN, tmp_path / "clone" / "bin")
        command = [tmp_path / "clone" / "bin" / "run"]
        environment = {"PATH": str(tools)}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=30
        )

    return run


def test_without_a_python_of_the_right_age_one_sentence_says_what_to_install(run) -> None:
    answer = run(NO_PYTHON)
    assert answer.returncode == 1
    assert answer.stderr.startswith("Tapback needs Python 3.11, 3.12 or 3.13 and found none.")
    assert answer.stderr.count("\n") == 1


def test_without_venv_one_sentence_says_what_to_install(run) -> None:
    answer = run(NO_VENV)
    assert answer.returncode == 1
    assert "python3 has no venv module. Install it" in answer.stderr
    assert "apt install python3-venv" in answer.stderr


def test_a_failed_start_leaves_no_lock_behind(run, tmp_path: Path) -> None:
    run(NO_VENV)
    assert not (tmp_path / "clone" / ".venv.lock").exists()
