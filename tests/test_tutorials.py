"""Every tutorial has the form that the site needs; three files run here as scripts, and the site runs all tutorials."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "tutorials").glob("[0-9]*.py"))
PROGRAM = ROOT / "tutorials" / "numpy_training.py"


def run(*command, folder):
    env = os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "IPYTHONDIR": str(folder)}
    done = subprocess.run([sys.executable, *command], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n") >= 3, "a tutorial prints the numbers that it checks"


@pytest.mark.parametrize("script", [SCRIPTS[0], SCRIPTS[9], PROGRAM], ids=lambda script: script.stem)  # compile little
def test_a_tutorial_runs_as_a_script(script, tmp_path):
    run(script, folder=tmp_path)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_tutorial_has_its_form_and_names_existing_files(script):
    text = script.read_text(encoding="utf-8")
    assert text.startswith(f'"""\n{int(script.name[:2])}. '), "it opens with its number and title"
    assert re.search(r"\b[Yy]ou (will see|need)\b", ast.get_docstring(ast.parse(text))), "and with what it teaches"
    last = text.rpartition("# %%\n")[2]
    assert "# What to try\n# -----------\n" in last and last.count("?") >= 2
    assert len(re.findall(r"^# +\.\. admonition:: Answer\n# +:class: dropdown\n#\n", last, re.MULTILINE)) >= 2
    assert "assert" in text and "savefig" not in text and "\n# %%\n# sphinx_gallery" not in text
    assert not re.search(r"^(?:from|import) _", text, re.MULTILINE), "a notebook has no file beside it"
    paths = re.findall(r"``((?:scratchser|kernels|docs|tests|tutorials)/[\w/.-]+)``", text)
    paths += re.findall(r"-m scratchser\.check (\S+\.py)", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_program_has_the_functions_of_tutorial_13():
    program, tutorial = (ast.parse(file.read_text(encoding="utf-8")).body for file in (PROGRAM, SCRIPTS[12]))
    functions = {node.name: ast.dump(node) for node in program if isinstance(node, ast.FunctionDef)}
    assert {"forward", "backward"} < functions.keys()
    assert functions.items() <= {node.name: ast.dump(node) for node in tutorial if hasattr(node, "name")}.items()


def test_a_notebook_runs_alone(tmp_path, monkeypatch):
    pytest.importorskip("sphinx_gallery", reason="needs the extra docs")
    monkeypatch.syspath_prepend(ROOT / "docs")
    from notebooks import notebook

    code = "\n\n".join(cell["source"][0] for cell in notebook(SCRIPTS[0])["cells"] if cell["cell_type"] == "code")
    (tmp_path / "notebook.ipy").write_text(code, encoding="utf-8")
    run("-m", "IPython", "notebook.ipy", folder=tmp_path)


def test_the_readme_lists_every_tutorial_and_exercise():
    assert [int(script.name[:2]) for script in SCRIPTS] == list(range(1, len(SCRIPTS) + 1))
    text = (ROOT / "tutorials" / "README.md").read_text(encoding="utf-8")
    assert [script.name for script in SCRIPTS if f"{script.name})" not in text] == []
    exercises = {path.name for path in (ROOT / "tutorials" / "exercises").glob("*.py")}
    assert set(re.findall(r"`(\w+\.py)`", text)) >= exercises, "every exercise belongs to a tutorial"
