"""How many launches a training step makes, by kernel."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from scratchser import costs
from scratchser.bench.report import table


def launches_of(step: Callable[[], Any]) -> dict[str, int]:
    """By kernel, in the order in which they come first. `step` works on simulated memory; no kernel is run."""
    return dict(Counter(launch.name for launch in costs.recorded(step)))


def text(counts: dict[str, int]) -> str:
    rows = [["kernel", "launches"], *([name, str(count)] for name, count in counts.items())]
    return table([*rows, ["together", str(sum(counts.values()))]], left=1) + "\n"
