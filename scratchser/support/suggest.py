"""What could have been meant: the nearest name, and the nearest number."""

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any


def name(text: str, known: Iterable[str]) -> str | None:
    """The known name that this one is in other letters, begins, is much like or in; None where there is no such."""
    known = list(known)
    same = [word for word in known if word.lower() == text.lower()]
    begun = [word for word in known if text and word.lower().startswith(text.lower())]
    inside = [word for word in known if text and text.lower() in word.lower().split("-")]
    return next(iter(same or begun or get_close_matches(text.lower(), known, 1) or inside), None)


def hint(text: str, known: Iterable[str]) -> str:
    """The end of a message: "; 'epochs'?", or nothing."""
    found = name(text, known)
    return f"; {found!r}?" if found else ""


@dataclass(frozen=True)
class Range:
    """What a number may be, both ends included, and in words; `below` and `above` are offered for what is beyond."""

    least: float
    most: float
    words: str
    below: Any
    above: Any

    def __contains__(self, value: float) -> bool:
        return self.least <= value <= self.most  # NaN is in no range

    def nearest(self, value: float) -> Any:
        """None where nothing is near, as to NaN."""
        if math.isnan(value):
            return None
        return self.below if value < self.least else self.above if value > self.most else value


MOST = sys.float_info.max
COUNT = Range(1, MOST, "a whole number from 1", 1, None)
LAYERS = Range(1, 1000, "a whole number from 1 to 1000", 1, 1000)  # nothing needs a limit but the memory
NOT_NEGATIVE = Range(0, MOST, "at least 0 and finite", 0.0, None)
