"""What the user has set for matplotlib has no influence on a command."""

from process import python

PROGRAM = """
from scratchser.support.plots import import_matplotlib
import_matplotlib()
import matplotlib
differ = [key for key, value in matplotlib.rcParamsDefault.items() if matplotlib.rcParams[key] != value]
print([key for key in differ if key != "backend"])
"""


def settings_that_differ(cwd, **environment):
    done = python("-c", PROGRAM, cwd=cwd, **environment)
    assert done.stderr == ""
    return done.stdout.strip()


def test_a_matplotlibrc_here_or_elsewhere_and_a_notebooks_backend(tmp_path):
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nbackend: nonsense\n", encoding="utf-8")
    assert settings_that_differ(tmp_path, MPLBACKEND="inline") == "[]"
    assert settings_that_differ("/", MATPLOTLIBRC=str(tmp_path), MPLCONFIGDIR=str(tmp_path)) == "[]"


def test_no_folder_for_fonts_is_one_line():
    program = "from scratchser.support import plots; plots.import_matplotlib()"
    program = f"import tempfile; tempfile._get_default_tempdir = lambda: open('/nowhere/x'); {program}"
    done = python("-c", program, code=1, NUMBA_CACHE_DIR="/dev/null/x", HOME="/dev/null", XDG_CACHE_HOME="")
    assert done.stderr.splitlines()[-1].startswith("scratchser.support.errors.UsageError: Matplotlib requires access")
