"""What the paper claims, tried where the truth is known: on corpora that the package makes, many for each claim.

    claim.py         what a claim is: trainings of a corpus, and the numbers that are taken from them
    corpora.py       a corpus of voices of its own: who trains, who is unseen
    vtlp.py oversampling.py annotators.py rates.py      a claim each
    running.py       all trainings, on the disk, to be gone on with
    outcome.py       the tables and the figure

A number that is claimed is a mean over corpora that have no voice and no sound in common, never over seeds of one
corpus. Beside each stands a null: the same procedure where the true number is 0 by an argument, so that its interval
has to cover 0. docs/claims.md tells the design and what came out.
"""

from scratchser.paper.claims import annotators, oversampling, rates, vtlp
from scratchser.paper.claims.claim import Claim

CLAIMS: tuple[Claim, ...] = (vtlp.CLAIM, oversampling.CLAIM, annotators.CLAIM, rates.CLAIM)
