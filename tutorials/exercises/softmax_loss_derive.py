"""Exercise: derive the gradient of the softmax cross-entropy, and write it. Judge it by

python -m scratchser.check tutorials/exercises/softmax_loss_derive.py

softmax_loss.py gives the formula; solve one of the two.
"""

import numpy as np

EXERCISE = "softmax_loss"


def softmax_loss(logits: np.ndarray, target: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
    """(loss, dlogits).

        p[b, k]   = exp z[b, k] / Σ_j exp z[b, j]
        loss      = -1/B Σ_b w[b] Σ_k t[b, k] log p[b, k]

    Derive dlogits[b, k] = ∂loss / ∂z[b, k]. Write log p[b, k] as z[b, k] - log Σ_j exp z[b, j] first: then each of the
    two terms has a short derivative. z[b, k] occurs in the log p of every class of its row, not of class k only.

    z, logits, dlogits   (B, K)   scores and their gradient
    t, target            (B, K)   a distribution over the classes; the sum is below 1 if there are votes for others, so
                                  do not replace Σ_k t[b, k] by 1
    w, weight            (B,)     of an utterance

    exp overflows for large scores, but p does not: what can you subtract from all scores of a row without changing
    p? All arrays of one dtype, float32 or float64; the loss is a number.
    """
    raise NotImplementedError
