"""Self-contained pages from templates/; all text is escaped."""

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from scratchser import __version__
from scratchser.report.text import counted, percent, setting

ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,  # names of utterances, folders and classes come from the user
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.filters.update(counted=counted, percent=percent, setting=setting)


def render(template: str, **context: Any) -> str:
    """A page. Raises UndefinedError if the template uses a name that `context` lacks."""
    return ENVIRONMENT.get_template(template).render(version=__version__, **context)


def data_uri(kind: str, data: bytes) -> str:
    """A URI that holds the bytes themselves, "" without any; `kind` is a MIME type such as "image/png"."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}" if data else ""
