"""Max pooling, one window after the other."""

import numpy as np


def forward(x, lengths, window):
    """y (B, ⌈T/I⌉, ⌈F/J⌉, C) of x (B, T, F, C), real or complex (the larger real part wins); zero past ⌈length/I⌉."""
    (B, T, F, C), (I, J) = x.shape, window
    y = np.zeros((B, -(-T // I), -(-F // J), C), x.dtype)
    for u in range(B):
        real = x[u, : lengths[u]]
        for t in range(-(-int(lengths[u]) // I)):
            for f in range(y.shape[2]):
                window_elements = real[t * I : t * I + I, f * J : f * J + J].reshape(-1, C)
                y[u, t, f] = window_elements[window_elements.real.argmax(axis=0), np.arange(C)]
    return y
