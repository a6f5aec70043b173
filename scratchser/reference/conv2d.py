"""Strided convolution as a direct sum: a loop over utterances, output positions and kernel taps."""

import numpy as np


def forward(x, lengths, W, b, stride, relu=True):
    """y (B, ⌈T/st⌉, ⌈F/sf⌉, D) of x (B, T, F, C), W (KT, KF, C, D), b (D,); zero past ⌈length/st⌉."""
    (B, T, F, _), (KT, KF, _, D), (st, sf) = x.shape, W.shape, stride
    y = np.zeros((B, -(-T // st), -(-F // sf), D), np.result_type(x, W, b))
    for u in range(B):
        for t in range(-(-int(lengths[u]) // st)):
            for f in range(y.shape[2]):
                pixel = b.astype(y.dtype)
                for i in range(KT):
                    for j in range(KF):
                        frame = t * st + i - (KT - 1) // 2
                        bin = f * sf + j - (KF - 1) // 2
                        if 0 <= frame < lengths[u] and 0 <= bin < F:
                            pixel = pixel + x[u, frame, bin] @ W[i, j]
                y[u, t, f] = np.where(pixel.real > 0, pixel, 0) if relu else pixel
    return y
