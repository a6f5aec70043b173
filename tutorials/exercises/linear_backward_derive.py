"""Exercise: derive the backward pass of a dense layer, and write it. Judge it by

python -m scratchser.check tutorials/exercises/linear_backward_derive.py

linear_backward.py gives the formulas; solve one of the two.
"""

import numpy as np

EXERCISE = "linear_backward"


def linear_backward(dy: np.ndarray, x: np.ndarray, W: np.ndarray, dW: np.ndarray, db: np.ndarray) -> np.ndarray:
    """dx of the loss, given dy; adds to dW and db.

        forward   y[b, k] = bias[k] + Σ_d x[b, d] W[d, k]
        given     dy[b, k] = ∂loss / ∂y[b, k]

    Derive dx = ∂loss / ∂x, dW = ∂loss / ∂W and db = ∂loss / ∂bias with the chain rule. Take one element, W[d, k]. Which
    elements of y contain it, and by which factor? The gradient is the sum over these elements of dy times the factor.

    x, dx   (B, D)   one row per utterance        W, dW   (D, K)   weights
    dy      (B, K)   gradient of the scores       db      (K,)     gradient of the biases

    All of one dtype, float32 or float64. dW and db contain gradients already, which stay in the sum: +=.
    """
    raise NotImplementedError
