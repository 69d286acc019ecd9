"""Write the lock files from the pins, or check that they are in step. Called by bin/lock."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement

# Each with the lock that it must agree with: tests run on what the program runs on.
LOCKS = {"requirements": None, "requirements-dev": "requirements"}
# No index, host or path may get into the output: it is the same on every machine.
COMPILE = (
    *("uv", "pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes"),
    *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--quiet"),
)


def main() -> None:
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit("Usage: bin/lock [--check]")
    with tempfile.TemporaryDirectory() as folder:
        if sys.argv[1:]:
            check(Path(folder))
        else:
            write(Path(folder))


def write(folder: Path) -> None:
    for name in LOCKS:
        if not compile_lock(name, folder):
            sys.exit(f"{name}.txt could not be made; the lines above say why. Nothing was changed.")
    for name in LOCKS:
        lines = (folder / f"{name}.txt").read_text().splitlines(keepends=True)
        header = f"# Made by bin/lock from {name}.in. Do not edit.\n"
        body = "".join(line for line in lines if not line.startswith("#"))
        Path(f"{name}.txt").write_text(header + body)


def check(folder: Path) -> None:
    """Fail unless every pin is locked and, where the index answers, nothing else would change."""
    for name in LOCKS:
        missing = pins(Path(f"{name}.in")) - pins(Path(f"{name}.txt"))
        if missing:
            sys.exit(f"{name}.txt lacks {', '.join(sorted(missing))} of {name}.in. Run bin/lock.")
    for name in LOCKS:
        if not compile_lock(name, folder):
            print("The package index did not answer: only the pins were compared.")
            return
        if pins(folder / f"{name}.txt") != pins(Path(f"{name}.txt")):
            sys.exit(f"{name}.txt is out of step with {name}.in. Run bin/lock.")


def compile_lock(name: str, folder: Path) -> bool:
    """Compile into ``folder``, from the lock as it is, so that only what must change does."""
    output = folder / f"{name}.txt"
    if Path(f"{name}.txt").exists():
        shutil.copyfile(f"{name}.txt", output)
    base = LOCKS[name]
    constraint = ["--constraint", str(folder / f"{base}.txt")] if base else []
    command = [sys.executable, "-m", *COMPILE, *constraint]
    command += [f"{name}.in", "--output-file", str(output)]
    return subprocess.run(command, check=False).returncode == 0


def pins(path: Path) -> set[str]:
    """What a file pins, as ``name==version``; hashes apart, since an index may add some later."""
    found = set()
    for line in path.read_text().splitlines():
        text = line.split("#")[0].rstrip("\\ ")
        if text and not text.startswith((" ", "-")):
            requirement = Requirement(text)
            name = requirement.name.lower().replace("_", "-")
            found.add(f"{name}{requirement.specifier}")
    return found


if __name__ == "__main__":
    main()
