"""The site: docs/ and the tutorials, built by Sphinx. docs/index.md says how.

python -m sphinx -W --keep-going docs docs/_build/html
"""

import importlib.metadata
import re
import sys
from pathlib import Path

from sphinx.ext import autosummary

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

import links  # noqa: E402
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
html_js_files = ["fold.js"]

myst_heading_anchors = 3  # links to a section of another page: corpora.md#broken-entries

add_module_names = False
autosummary.WELL_KNOWN_ABBREVIATIONS += ("eq.", "eqs.")  # no sentence ends there
autodoc_member_order = "bysource"
maximum_signature_line_length = 88

sphinx_gallery_conf = {
    "examples_dirs": "../tutorials",
    "gallery_dirs": "tutorials",
    "filename_pattern": r"[/\\]\d\d_",
    "ignore_pattern": r"[/\\]_",
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
            lines += [*block.splitlines(), ""]


def site_links(app, page, source):
    """A link to a tutorial's file, for readers on a code host, leads to its page, and the name of a page is a link."""
    source[0] = re.sub(r"\]\(\.\./tutorials/(\d\d_\w+)\.py\)", r"](tutorials/\1.rst)", source[0])
    source[0] = re.sub(r"(?<![`[])`docs/([\w-]+\.md)`(?![`\]])", r"[\1](\1)", source[0])


def setup(app):
    app.connect("autodoc-process-docstring", docstring)
    app.connect("source-read", site_links)
    app.connect("build-finished", links.check)
    notebooks.install()
