"""Exercise: softmax cross-entropy with soft targets and weights, and its gradient. Judge it by

python -m scratchser.check tutorials/exercises/softmax_loss.py
"""

import numpy as np

EXERCISE = "softmax_loss"


def softmax_loss(logits: np.ndarray, target: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
    """(loss, dlogits).

        p[b, k]        = exp z[b, k] / Σ_j exp z[b, j]
        loss           = -1/B Σ_b w[b] Σ_k t[b, k] log p[b, k]
        dlogits[b, k]  = w[b] / B (p[b, k] Σ_j t[b, j] - t[b, k])

    z, logits, dlogits   (B, K)   scores and their gradient
    t, target            (B, K)   a distribution over the classes; the sum is below 1 if there are votes for others
    w, weight            (B,)     of an utterance

    exp overflows for large scores, but p does not: what can you subtract from all scores of a row without changing
    p? All arrays of one dtype, float32 or float64; the loss is a number.
    """
    raise NotImplementedError
