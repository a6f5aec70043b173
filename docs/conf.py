"""The site: docs/ and the tutorials, built by Sphinx. docs/index.md says how.

python -m sphinx -W --keep-going docs docs/_build/html
"""

import importlib.metadata
import os
import re
import sys
from functools import cached_property
from pathlib import Path
from types import FunctionType, MethodType

from docutils import nodes
from sphinx import addnodes
from sphinx.ext import autosummary

# Tutorial 5 measures NumPy's product with one thread. All tutorials run in this process, so the variable that it sets
# itself comes too late here: an earlier tutorial has imported NumPy, which reads it once
os.environ["OPENBLAS_NUM_THREADS"] = "1"

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

import links  # noqa: E402  # below the line that makes this folder importable
import notebooks  # noqa: E402

project = "scratchser"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx_gallery.gen_gallery"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

html_theme = "furo"
html_title = "scratchser"
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
highlight_language = "none"  # a block without a language is text or a formula
# MathJax from a package instead of a content network: the site works without a connection. One file holds TeX and fonts
mathjax = importlib.metadata.distribution("sphinx-mathjax-offline")
html_static_path = ["_static", str(mathjax.locate_file("sphinx-mathjax-offline/static/mathjax/tex-svg-full.js"))]
mathjax_path = "tex-svg-full.js"
html_css_files = ["site.css"]
html_js_files = ["page.js"]

myst_heading_anchors = 3  # links to a section of another page: corpora.md#broken-entries

add_module_names = False
autosummary.WELL_KNOWN_ABBREVIATIONS += ("eq.", "eqs.", "Eq.", "Eqs.")  # no sentence ends there
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # device=CPU, not the address of an object
maximum_signature_line_length = 88

sphinx_gallery_conf = {
    "examples_dirs": "../tutorials",
    "gallery_dirs": "tutorials",
    "filename_pattern": r"[/\\]\d\d_",
    "ignore_pattern": r"(^|[/\\])(?!\d\d_)[^/\\]*$",  # numpy_training.py is a download of tutorial 13
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "capture_repr": ("_repr_html_",),  # sound; tutorials print what they show otherwise
    "image_srcset": ["2x"],  # sharp on screens with small pixels
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,  # each page shows its own
}


def docstring(app, what, name, obj, options, lines):
    """Our docstrings are plain text: sentences, and lines with columns. The latter become literal blocks."""
    blocks = re.split(r"\n\s*\n", "\n".join(lines).strip("\n"))
    lines[:] = []
    for block in blocks:
        if re.search(r"^ |\S {2,}\S", block, re.MULTILINE):
            lines += ["::", "", *("    " + line for line in block.splitlines()), ""]
        else:
            block = re.sub(r"`([^`]+)`|([*|_\\])", lambda m: f"``{m[1]}``" if m[1] else "\\" + m[2], block)
            block = re.sub(r"docs/([\w-]+)\.md", r":doc:`\1.md </\1>`", block)
            lines += [*block.splitlines(), ""]


def skip_field(app, what, name, item, skip, options):
    """Leave out the fields of a class, which its signature lists."""
    shown = isinstance(item, FunctionType | MethodType | property | cached_property | type)
    return True if what in ("class", "exception") and not shown else None


def rank(node) -> int:
    """The place of a part of an API page: docstring, forward and backward, other Python, compiled functions."""
    if not isinstance(node, addnodes.desc):
        return 0
    if node[0]["fullname"] in ("forward", "backward"):
        return 1
    item = getattr(sys.modules[node[0]["module"]], node[0]["fullname"])
    return 2 if isinstance(item, FunctionType | type) else 3


def sort_members(app, doctree):
    """On an API page, what a reader calls comes before what it is made of."""
    for page in doctree.findall(nodes.container):
        if "api" in page["classes"]:
            page.children.sort(key=rank)


def setup(app):
    app.connect("autodoc-process-docstring", docstring)
    app.connect("autodoc-skip-member", skip_field)
    app.connect("doctree-read", sort_members, priority=400)  # before the contents of the page are listed
    app.connect("source-read", links.make)
    app.connect("build-finished", links.check)
    notebooks.install()
