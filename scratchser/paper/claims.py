"""The paper's claims as experiments on synthetic corpora: scratchser/claims/ has them one by one."""

from __future__ import annotations

from pathlib import Path

from scratchser.claims import CLAIMS, outcome, running
from scratchser.paper.output import Output

CORPORA = 40  # of each claim


def build(out: Path, *, corpora: int = CORPORA, workers: int = 1, resume: bool = False) -> Output:
    """Train what the claims need in the folder `out`, or go on with it, and write the tables and the figure there.

    Errors as in `running.run`.
    """
    made = outcome.output(CLAIMS, running.run(out, CLAIMS, corpora, workers, resume))
    made.write(out)
    return made
