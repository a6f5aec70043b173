"""Classes of unequal size, and what showing the two rare ones twice (section 2) buys in UA on unseen speakers.

    rare     training speakers have IEMOCAP's proportions: many neutral and sad utterances, few happy and angry ones.
             The arm without repetitions gets more epochs instead, so that both make about as many updates
    null     classes of equal size; two of them, drawn by lot for each corpus, are shown twice in one arm, and the other
             two in the other arm. By the lot's symmetry both arms have one distribution, though every class is not as
             easy as every other

The unseen speakers have as many utterances of each class in both: UA does not ask for shares.
"""

from dataclasses import replace

import numpy as np

from scratchser.corpus.table import CLASSES
from scratchser.paper.claims.claim import SMALL, Arm, Claim, Number, difference
from scratchser.paper.claims.corpora import World

RARE = World(train=(16, 5, 9, 5))  # neutral, happiness, sadness, anger; 1099, 284, 608, 289 in IEMOCAP
BALANCED = World()
TWICE = replace(SMALL, oversample=("happiness", "anger"))
ONCE = replace(SMALL, epochs=round(SMALL.epochs * (1 + (RARE.train[1] + RARE.train[3]) / sum(RARE.train))))


def arms(seed: int) -> dict[str, Arm]:
    lot = [CLASSES[k] for k in np.random.default_rng([seed, 3]).permutation(len(CLASSES))]
    pairs = tuple(sorted(lot[:2])), tuple(sorted(lot[2:]))
    return {
        "rare": Arm(RARE, replace(ONCE, patience=ONCE.epochs)),
        "rare-twice": Arm(RARE, TWICE),
        "lot": Arm(BALANCED, replace(SMALL, oversample=pairs[0])),
        "lot-others": Arm(BALANCED, replace(SMALL, oversample=pairs[1])),
    }


CLAIM = Claim(
    name="oversampling",
    says="Rare classes shown twice raise the UA",
    first=120_000,
    arms=arms,
    numbers=(
        Number("effect", "happiness and anger twice - once, both rare", difference("rare-twice", "rare")),
        Number("null", "balanced, two classes by lot twice - the other two", difference("lot", "lot-others")),
    ),
)
