"""Gradients of convolutions and of the LSTM, and what a rate and an L2 of their own buy (section 3.2, figure 4).

ratio    ||dW|| / sqrt(n) of a conv layer's weights over that of the LSTM's, mean over an epoch's updates and over
         the epochs, one rate for all
effect   conv layers with twice the rate and twice the L2, as in the presets, against one rate for all
rest     the same rates everywhere, the doubled ones, against one rate: if what the doubled rate buys is not the
         convolutions' alone, this is as good
null     one rate for all against itself, from another seed: both numbers come from one distribution
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from scratchser.paper.claims.claim import SMALL, Arm, Claim, Corpus, Number, difference
from scratchser.paper.claims.corpora import World

UNIFORM = replace(SMALL, conv_learning_rate=SMALL.learning_rate, conv_l2=SMALL.l2)
LAYERWISE = replace(SMALL, conv_learning_rate=2 * SMALL.learning_rate, conv_l2=2 * SMALL.l2)
DOUBLED = replace(LAYERWISE, learning_rate=LAYERWISE.conv_learning_rate, l2=LAYERWISE.conv_l2)


def arms(seed: int) -> dict[str, Arm]:
    return {
        "uniform": Arm(World(), UNIFORM),
        "layerwise": Arm(World(), LAYERWISE),
        "doubled": Arm(World(), DOUBLED),
        "uniform-again": Arm(World(), UNIFORM, again=True),
    }


def log_ratios(corpus: Corpus) -> Mapping[str, float]:
    """The logarithm of the ratio for each conv layer, at one rate for all."""
    rows = [row["gradient_norms"] for row in corpus.folders["uniform"].metrics()]
    means = {layer: float(np.mean([row[layer] for row in rows])) for layer in rows[0]}
    return {layer: float(np.log(norm / means["lstm1"])) for layer, norm in means.items() if layer.startswith("conv")}


CLAIM = Claim(
    name="rates",
    says="Conv layers gain from a higher rate and L2 of their own",
    first=140_000,
    arms=arms,
    numbers=(
        Number("effect", "conv layers twice rate and L2 - one rate for all", difference("layerwise", "uniform")),
        Number("contrast", "all layers twice rate and L2 - one rate for all", difference("doubled", "uniform")),
        Number("null", "one rate for all - the same, another seed", difference("uniform", "uniform-again")),
    ),
)
