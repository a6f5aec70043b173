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
    t, target            (B, K)   a distribution over the classes; where some votes fell elsewhere, the sum is below 1
    w, weight            (B,)     of an utterance

    exp overflows for scores that are large, while p does not: what can be taken from all scores of a row without
    changing p? All arrays of one dtype, float32 or float64; the loss is a number.
    """
    raise NotImplementedError
