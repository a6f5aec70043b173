"""The nearest known name for a wrong one."""

from collections.abc import Iterable
from difflib import get_close_matches


def hint(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The end of an error message: "; did you mean 'epochs'?", or nothing if no known name is near."""
    near = get_close_matches(name.lower(), list(known), 1, cutoff)
    return f"; did you mean {near[0]!r}?" if near else ""
