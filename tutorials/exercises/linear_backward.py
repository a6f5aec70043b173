"""Exercise: the backward pass of a dense layer. Judge it by

python -m scratchser.check tutorials/exercises/linear_backward.py
"""

import numpy as np

EXERCISE = "linear_backward"


def linear_backward(dy: np.ndarray, x: np.ndarray, W: np.ndarray, dW: np.ndarray, db: np.ndarray) -> np.ndarray:
    """dx of the loss, given dy; adds to dW and db.

        forward    y[b, k]   = bias[k] + Σ_d x[b, d] W[d, k]
        backward   dx[b, d]  = Σ_k dy[b, k] W[d, k]
                   dW[d, k] += Σ_b x[b, d] dy[b, k]
                   db[k]    += Σ_b dy[b, k]

    x, dx   (B, D)   one row per utterance        W, dW   (D, K)   weights
    dy      (B, K)   gradient of the scores       db      (K,)     gradient of the biases

    All of one dtype, float32 or float64. dW and db contain gradients already, which stay in the sum.
    """
    raise NotImplementedError
