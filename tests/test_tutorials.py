"""Every tutorial runs as a script from beginning to end, and asserts its own numbers."""

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
QUICK = "01_threads_and_blocks", "10_soft_labels"  # compile little; the others are slow
HANGS = 900  # seconds, with compilation on a busy machine


@pytest.mark.parametrize(
    "script",
    [pytest.param(s, id=s.stem, marks=() if s.stem in QUICK else pytest.mark.slow) for s in SCRIPTS],
)
def test_a_tutorial_runs_and_draws_its_figure(script):
    figure = ROOT / "tutorials" / "figures" / f"{script.stem}.png"
    figure.unlink(missing_ok=True)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": path, "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, script.relative_to(ROOT)],
        cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=HANGS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n") >= 3, "a tutorial prints the numbers that it checks"
    image = (matplotlib.image.imread(figure)[..., :3] * 255).astype(np.uint8)
    assert min(image.shape[:2]) >= 200
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 50


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_tutorial_has_its_form_and_names_existing_files(script):
    text = script.read_text(encoding="utf-8")
    cells = re.split(r"^# %%", text, flags=re.MULTILINE)[1:]
    assert cells[0].startswith(f" [markdown]\n# # {int(script.name[:2])}. "), "it opens with its number and title"
    assert re.search(r"ou will see\b", cells[0]), "and with what it teaches"
    assert cells[-1].startswith(" [markdown]\n# ## What to try\n") and cells[-1].count("?") >= 2
    assert "assert" in text
    paths = re.findall(r"`((?:scratchser|kernels|docs|tests|tutorials)/[\w/.-]+)`", text)
    paths += re.findall(r"-m scratchser\.check (\S+\.py)", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_readme_lists_every_tutorial_and_exercise():
    numbers = [int(script.name[:2]) for script in SCRIPTS]
    assert numbers == sorted(set(numbers)) and numbers[0] == 1
    text = (ROOT / "tutorials" / "README.md").read_text(encoding="utf-8")
    assert [script.name for script in SCRIPTS if f"`{script.name}`" not in text] == []
    assert set(re.findall(r"`(\w+\.py)`", text)) >= EXERCISES, "every exercise belongs to a tutorial"
