"""Exercise: one step of SGD with Nesterov momentum and L2, in place. Judge it by

python -m scratchser.check tutorials/exercises/nesterov.py
"""

import numpy as np

EXERCISE = "nesterov"


def nesterov(
    W: np.ndarray,
    V: np.ndarray,
    dW: np.ndarray,
    ends: np.ndarray,
    learning_rate: np.ndarray,
    l2: np.ndarray,
    momentum: float,
) -> None:
    """Changes W, V and dW, and returns nothing.

        g = dW + λ W
        v = μ v + g
        W = W - ρ (g + μ v)        with the new v
        dW = 0                     for the next step's gradients to be added to

    W, V, dW   (n,)   all parameters of the network, their velocities v, their gradients; float32 or float64
    ends       (G,)   int64: segment s is [ends[s-1], ends[s]), the first one begins at 0; one may be empty
    learning_rate, l2   (G,)   ρ and λ of each segment
    momentum   ()     μ
    """
    raise NotImplementedError
