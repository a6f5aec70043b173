"""Every tutorial runs as a script from beginning to end: what it says in numbers it asserts itself."""

import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "tutorials").glob("[0-9]*.py"))
EXERCISES = {path.name for path in (ROOT / "tutorials" / "exercises").glob("*.py")}
LINES = 160
HANGS = 900  # seconds, compilation on a busy machine included: against a hang, not a measure of speed

scripts = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)


def cells(script):
    """(kind, text) of each cell, kind "markdown" or "code", the comment signs of markdown taken away."""
    found = []
    for part in re.split(r"^# %%", script.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        kind = "markdown" if "[markdown]" in head else "code"
        found.append((kind, re.sub(r"^# ?", "", body, flags=re.MULTILINE) if kind == "markdown" else body))
    return found


def picture_of(script):
    return ROOT / "tutorials" / "figures" / f"{script.stem}.png"


@scripts
def test_a_tutorial_runs_and_draws_its_picture(script):
    picture = picture_of(script)
    picture.unlink(missing_ok=True)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": path, "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, script.relative_to(ROOT)],
        cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=HANGS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n") >= 3, "a tutorial prints the numbers that it checks"
    image = (matplotlib.image.imread(picture)[..., :3] * 255).astype(np.uint8)
    assert min(image.shape[:2]) >= 200
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 50


@scripts
def test_a_tutorial_has_its_form(script):
    text = script.read_text(encoding="utf-8")
    found = cells(script)
    assert len(text.splitlines()) <= LINES
    assert "assert" in text
    kind, opening = found[0]
    assert kind == "markdown"
    assert opening.startswith(f"# {int(script.name[:2])}. "), "it opens with its number and title"
    assert "ou will see " in opening or "ou will see\n" in opening, "and with what it teaches"
    kind, end = found[-1]
    assert kind == "markdown" and end.startswith("## What to try\n")
    assert end.count("?") >= 2, "questions to try out"


@scripts
def test_files_that_a_tutorial_names_exist(script):
    text = script.read_text(encoding="utf-8")
    paths = re.findall(r"`((?:scratchser|kernels|docs|tests|tutorials)/[\w/.-]+)`", text)
    paths += re.findall(r"-m scratchser\.check (\S+\.py)", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_tutorials_are_numbered_and_the_readme_lists_each():
    numbers = [int(script.name[:2]) for script in SCRIPTS]
    assert numbers == sorted(set(numbers)) and numbers[0] == 1
    text = (ROOT / "tutorials" / "README.md").read_text(encoding="utf-8")
    assert [script.name for script in SCRIPTS if f"`{script.name}`" not in text] == []
    assert set(re.findall(r"`(\w+\.py)`", text)) >= EXERCISES, "every exercise belongs to a tutorial"


def test_git_ignores_the_pictures():
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout of git")
    command = ["git", "-c", "safe.directory=*", "check-ignore", "-q", "tutorials/figures/01_threads_and_blocks.png"]
    assert subprocess.run(command, cwd=ROOT).returncode == 0
