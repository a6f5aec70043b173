"""Exercise: derive sequence-wise batch normalisation backward, and write it. Judge it by

python -m scratchser.check tutorials/exercises/batch_norm_derive.py

batch_norm.py gives a part of the formulas; solve one of the two.
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

    Forward was, with one mean and one variance for each feature f, over all real frames of the batch (n of them):

        mean[f]     = 1/n Σ x[b, t, f]                      Σ over utterances b and frames t < lengths[b]
        variance[f] = 1/n Σ (x[b, t, f] - mean[f])²
        x̂[b, t, f]  = (x[b, t, f] - mean[f]) / √(variance[f] + ε)
        y[b, t, f]  = γ[f] x̂[b, t, f] + β[f]

    Derive dγ = ∂loss / ∂γ, dβ = ∂loss / ∂β and dx = ∂loss / ∂x from dy = ∂loss / ∂y. Draw the graph of the computation,
    from x over mean, variance and x̂ to y. Go backward from y: the gradient of x̂ first, then of the variance, of the
    mean, and of x. The gradient of a node is the sum over all arrows that leave it. At the end, many terms cancel.

    x, dy, dx        (B, T, F)   frames;   lengths (B,) int64. What lies past the end of an utterance is
                                 padding, and dx is 0 there
    gamma, epsilon   (F,), ()    γ and ε
    dgamma, dbeta    (F,)        contain gradients already, which stay in the sum: +=

    All of one dtype, float32 or float64.
    """
    raise NotImplementedError
