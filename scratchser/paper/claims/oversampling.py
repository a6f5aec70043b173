"""Showing rare classes twice (section 2) raises the UA on unseen speakers.

rare     training speakers have IEMOCAP's proportions: many neutral and sad utterances, few happy and angry ones. The
         arm without oversampling has more epochs, so that both make about the same number of updates
null     balanced classes; two of them, chosen at random for each corpus, are shown twice in one arm, the other two in
         the other arm. By symmetry both arms have the same distribution

The unseen speakers have the same number of utterances of each class in both, because UA does not depend on it.
"""

from dataclasses import replace

import numpy as np

from scratchser.corpus.table import CLASSES
from scratchser.paper.claims.claim import SMALL, Arm, Claim, Difference, difference
from scratchser.paper.claims.corpora import CorpusSpec

RARE = CorpusSpec(train=(16, 5, 9, 5))  # neutral, happiness, sadness, anger; 1099, 284, 608, 289 in IEMOCAP
BALANCED = CorpusSpec()
TWICE = replace(SMALL, oversample=("happiness", "anger"))
ONCE = replace(SMALL, epochs=round(SMALL.epochs * (1 + (RARE.train[1] + RARE.train[3]) / sum(RARE.train))))


def arms(seed: int) -> dict[str, Arm]:
    order = [CLASSES[k] for k in np.random.default_rng([seed, 3]).permutation(len(CLASSES))]
    first, second = tuple(sorted(order[:2])), tuple(sorted(order[2:]))
    return {
        "rare": Arm(RARE, replace(ONCE, patience=ONCE.epochs)),
        "rare-twice": Arm(RARE, TWICE),
        "lot": Arm(BALANCED, replace(SMALL, oversample=first)),
        "lot-others": Arm(BALANCED, replace(SMALL, oversample=second)),
    }


CLAIM = Claim(
    name="oversampling",
    first_seed=120_000,
    arms=arms,
    differences=(
        Difference("effect", "happiness and anger twice - once, both rare", difference("rare-twice", "rare")),
        Difference("null", "balanced, two random classes twice - the other two", difference("lot", "lot-others")),
    ),
)
