"""Exercise: sequence-wise batch normalisation backward, through its statistics, with lengths. Judge it by

python -m scratchser.check tutorials/exercises/batch_norm.py
"""

import numpy as np

EXERCISE = "batch_norm"


def batch_norm(
    dy: np.ndarray,
    x: np.ndarray,
    lengths: np.ndarray,
    gamma: np.ndarray,
    epsilon: float,
    dgamma: np.ndarray,
    dbeta: np.ndarray,
) -> np.ndarray:
    """dx of the loss, given dy; adds to dgamma and dbeta.

    Forward was, with one mean and one variance for each feature f, over all real frames of the batch (bt of them):

        mean[f]     = 1/bt Σ x[b, t, f]                     Σ over utterances b and frames t < lengths[b]
        variance[f] = 1/bt Σ (x[b, t, f] - mean[f])²
        x̂[b, t, f]  = (x[b, t, f] - mean[f]) / √(variance[f] + ε)
        y[b, t, f]  = γ[f] x̂[b, t, f] + β[f]

    So x[b, t, f] reaches y on three paths: through its own x̂, through the mean, and through the variance. The first
    alone gives γ dy / √(variance + ε). What do the other two subtract from it?

        dγ[f] += Σ dy[b, t, f] x̂[b, t, f]        dβ[f] += Σ dy[b, t, f]

    x, dy, dx        (B, T, F)   frames;   lengths (B,) int64. What lies past the end of an utterance is
                                 padding, and dx is 0 there
    gamma, epsilon   (F,), ()    γ and ε
    dgamma, dbeta    (F,)        contain gradients already, which stay in the sum

    All of one dtype, float32 or float64.
    """
    raise NotImplementedError
