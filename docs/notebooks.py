"""The notebook of each tutorial. sphinx-gallery's own would lack what the page hides, and cannot fold an answer."""

import ast
import re
import shutil
import subprocess
from pathlib import Path
from textwrap import dedent

from sphinx.errors import ExtensionError
from sphinx_gallery import gen_rst
from sphinx_gallery.gen_gallery import DEFAULT_GALLERY_CONF
from sphinx_gallery.notebook import jupyter_notebook, save_notebook
from sphinx_gallery.py_source_parser import Block, split_code_and_text_blocks

FIRST_CELL = """\
# Install scratchser, which is on no package index. The files of the exercises are on the site.
try:
    import scratchser
except ImportError:
    repository = "REPOSITORY"
    %pip install --quiet "{repository}"
"""
PLACEHOLDER = "replace this text by the folder of your copy of the repository"
LEFT = re.compile(r"^ *\.\. .*|^.*:math:.*", re.MULTILINE)
HIDDEN = re.compile(r"^# sphinx_gallery_start_ignore\n(.*?)^# sphinx_gallery_end_ignore\n", re.MULTILINE | re.DOTALL)
ANSWER = re.compile(r"^( *)\.\. admonition:: (.+)\n\1 +:class: dropdown\n((?:\n|\1 +.*\n?)+)", re.MULTILINE)
LITERAL = re.compile(r"^(?! *\.\. )(.*):: *$", re.MULTILINE)  # a line that announces a literal block


def folded(match: re.Match) -> str:
    """An answer as <details>, which notebooks show folded."""
    _, title, body = match.groups()
    return f"<details><summary>{title}</summary>\n\n{dedent(body).strip()}\n\n</details>\n\n"


def repository() -> str:
    """What pip installs in a notebook: the web address from which this copy was cloned, otherwise a placeholder.

    A user and a password in the address are left out.
    """
    if not shutil.which("git"):
        return PLACEHOLDER
    command = ["git", "remote", "get-url", "origin"]
    origin = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True).stdout.strip()
    match = re.fullmatch(r"(https?://)(?:[^/@]*@)?(.+)", origin)
    return f"git+{match[1]}{match[2]}" if match else PLACEHOLDER


def notebook(script: Path) -> dict:
    """The notebook of a tutorial. Drawing code is in cells of its own, which JupyterLab shows collapsed.

    Raises ExtensionError for reStructuredText that would appear as such, SyntaxError for a part that is no cell.
    """
    _, blocks = split_code_and_text_blocks(str(script))
    cells, collapsed = [], []
    for kind, content, line in blocks:
        parts = HIDDEN.split(content) if kind == "code" else [LITERAL.sub(r"\1:", ANSWER.sub(folded, content))]
        for place, part in enumerate(parts):
            if part.strip():
                if kind == "code":
                    ast.parse(part, str(script))
                cells.append(Block(kind, part, line))
                collapsed.append(place % 2 == 1)
    first = FIRST_CELL.replace("REPOSITORY", repository())
    settings = {**DEFAULT_GALLERY_CONF, "first_notebook_cell": first}
    result = jupyter_notebook(cells, settings, script.parent)
    text = "\n".join(cell["source"][0] for cell in result["cells"] if cell["cell_type"] == "markdown")
    if left := LEFT.findall(text):
        raise ExtensionError(f"{script}: a notebook cannot show {left}")
    for cell, hide in zip(result["cells"][1:], collapsed, strict=True):
        if hide:
            cell["metadata"]["jupyter"] = {"source_hidden": True}
    return result


def install() -> None:
    """Replace the notebooks that sphinx-gallery writes, and leave out its archives of script and notebook."""

    def save(_: dict, path: Path) -> None:  # path: NN_name.ipynb.new, beside a copy of the script
        save_notebook(notebook(path.with_suffix("").with_suffix(".py")), path)

    gen_rst.save_notebook = save
    gen_rst.ZIP_DOWNLOAD = ""
