"""Gradients of conv layers are larger, and a learning rate and L2 of their own help (section 3.2, figure 4).

ratio      ||dW|| / sqrt(n) of a conv layer's weights over that of the LSTM's, mean over the updates of an epoch and
           over the epochs, with one learning rate for all layers
effect     conv layers with twice the learning rate and L2, as in the presets, against one learning rate for all
contrast   both doubled in all layers against one learning rate for all: if only the size matters, this is as good
null       one learning rate for all against itself with another seed: both values have the same distribution
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from scratchser.paper.claims.claim import SMALL, Arm, Claim, Difference, Trial, difference
from scratchser.paper.claims.corpora import CorpusSpec
from scratchser.report import figures

UNIFORM = replace(SMALL, conv_learning_rate=SMALL.learning_rate, conv_l2=SMALL.l2)
LAYERWISE = replace(SMALL, conv_learning_rate=2 * SMALL.learning_rate, conv_l2=2 * SMALL.l2)
DOUBLED = replace(LAYERWISE, learning_rate=LAYERWISE.conv_learning_rate, l2=LAYERWISE.conv_l2)


def arms(seed: int) -> dict[str, Arm]:
    return {
        "uniform": Arm(CorpusSpec(), UNIFORM),
        "layerwise": Arm(CorpusSpec(), LAYERWISE),
        "doubled": Arm(CorpusSpec(), DOUBLED),
        "uniform-again": Arm(CorpusSpec(), UNIFORM, other_seed=True),
    }


def log_ratios(trial: Trial) -> Mapping[str, float]:
    """The logarithm of the ratio of each conv layer."""
    norms = figures.mean_norms(trial.folders["uniform"].metrics())
    lstm = norms["lstm1"].mean()
    return {layer: float(np.log(values.mean() / lstm)) for layer, values in norms.items() if layer.startswith("conv")}


CLAIM = Claim(
    name="rates",
    first_seed=140_000,
    arms=arms,
    differences=(
        Difference("effect", "conv layers: twice learning rate, L2 - one for all", difference("layerwise", "uniform")),
        Difference("contrast", "all layers: twice learning rate, L2 - one for all", difference("doubled", "uniform")),
        Difference("null", "one learning rate - the same, another seed", difference("uniform", "uniform-again")),
    ),
)
