"""Pages from templates/: one self-contained file each, every text in it escaped."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from scratchser import __version__
from scratchser.report.text import percent, setting


def render(template: str, **context: Any) -> str:
    """The page of a template; a name that the template uses and `context` lacks is an error."""
    return _environment().get_template(template).render(version=__version__, **context)


def data_uri(kind: str, data: bytes) -> str:
    """The bytes within the page, e.g. of the kind "image/png"."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,  # the names of utterances, folders and classes are their users'
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    environment.filters["setting"] = setting
    return environment
