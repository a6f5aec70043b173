"""Which module imports which: nothing imports upward, and the commands show their help quickly."""

import ast
import os
from pathlib import Path

import pytest
from process import python

from scratchser import __version__

ROOT = Path(__file__).parents[1]
COMMANDS = ("cv", "predict", "paper", "report", "corpus", "check", "bench")


def imported(file):
    """The modules of this package that a file imports, at its top or inside functions, "fit" for scratchser.fit."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name.removeprefix("scratchser.") for name in names if name.startswith("scratchser."))


def unit(module):
    """The entry of scratchser/ that a module belongs to: "runs" for runs.folder."""
    return module.partition(".")[0]


def imports():
    """By module, the modules that it imports."""
    found = {}
    for top in (ROOT / "scratchser", ROOT / "kernels"):
        for file in top.rglob("*.py"):
            parts = file.relative_to(ROOT / "scratchser" if top.name == "scratchser" else ROOT).with_suffix("").parts
            if top.name == "kernels" or parts[0] != "kernels":  # scratchser/kernels is a link
                found[".".join(parts)] = set(imported(file))
    return found


IMPORTS = imports()
BELOW_RUNS = {"kernels", "support", "presets", "corpus", "metrics"}
BELOW_CV = BELOW_RUNS | {"layers", "model", "optim", "evaluate", "fit", "runs", "report"}
ALLOWED = {  # __version__ may be imported anywhere
    "kernels": set(),
    "support": {"kernels"},
    "layers": {"kernels"},
    "metrics": set(),
    "presets": {"support"},
    "model": {"layers", "presets", "kernels"},
    "optim": {"layers", "presets", "kernels"},
    "corpus": {"kernels", "support", "presets", "metrics"},
    "evaluate": {"model", "corpus", "kernels", "presets", "support"},
    "fit": {"model", "optim", "evaluate", "corpus", "metrics", "kernels", "presets", "support"},
    "runs": BELOW_RUNS,
    "report": BELOW_RUNS | {"runs"},
    "cv": BELOW_CV,
    "predict": BELOW_CV,
    "paper": BELOW_CV | {"cv"},
    "bench": {"corpus", "kernels", "model", "optim", "presets", "support"},
    "gradcheck": set(),
    "reference": set(),
    "tracer": {"kernels"},
    "check": {"gradcheck", "reference", "tracer", "kernels", "support"},
}


@pytest.mark.parametrize("name", ALLOWED)
def test_imports_point_down(name):
    """And nothing imports paper or bench."""
    used = {unit(module) for user, modules in IMPORTS.items() if unit(user) == name for module in modules}
    assert used - {name, "__version__"} <= ALLOWED[name]


def test_training_knows_no_files_and_no_terminal():
    assert {module for module in IMPORTS["fit"] if module.startswith("support")} <= {"support.errors.ProcessingError"}
    reached, new = set(), {"fit"}
    while new:
        reached |= new
        new = {module for user in new for name in IMPORTS[user] for module in modules_of(name)} - reached
    assert not {
        module for module in reached if module == "support.terminal" or unit(module) in ("runs", "report", "cv")
    }


def modules_of(name):
    """The modules in an import's name: "corpus.batches" for corpus.batches.Dataset."""
    return {module for module in IMPORTS if f"{name}.".startswith(f"{module}.")}


@pytest.mark.skipif(os.name == "nt", reason="Windows does not report the CPU time of child processes")
@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_quick(name):
    before = os.times()
    done = python("-m", f"scratchser.{name}", "--help")
    after = os.times()
    assert f"python -m scratchser.{name}" in done.stdout
    assert after.children_user + after.children_system - before.children_user - before.children_system < 0.5


def test_the_list_of_commands():
    folders = {file.parent.name for file in (ROOT / "scratchser").glob("*/__main__.py")}
    listed = python("-m", "scratchser").stdout
    assert folders == set(COMMANDS) and all(f"python -m scratchser.{name} " in listed for name in COMMANDS)
    assert python("-m", "scratchser", "--version").stdout == f"scratchser {__version__}\n"
    assert "scratchser.model is not a command" in python("-m", "scratchser.model", code=1).stderr
