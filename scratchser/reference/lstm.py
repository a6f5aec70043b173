"""Bi-LSTM by its equations: a loop over utterances, directions and frames; gates in the order i f g o."""

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(x, lengths, Wx, Wh, b, h0, c0):
    """y (B, T, 2H) of x (B, T, D), Wx (D, 2, 4H), Wh (2, H, 4H), b (2, 4H), h0 and c0 (2, B, H); zero past the end."""
    (B, T, _), H = x.shape, Wh.shape[1]
    y = np.zeros((B, T, 2 * H), np.result_type(x, Wx, Wh, b, h0, c0))
    for u in range(B):
        frames = range(int(lengths[u]))
        for direction, order in enumerate((frames, reversed(frames))):
            h, c = h0[direction, u], c0[direction, u]
            for t in order:
                z = x[u, t] @ Wx[:, direction] + h @ Wh[direction] + b[direction]
                i, f, o = sigmoid(z[:H]), sigmoid(z[H : 2 * H]), sigmoid(z[3 * H :])
                c = f * c + i * np.tanh(z[2 * H : 3 * H])
                h = o * np.tanh(c)
                y[u, t, direction * H : (direction + 1) * H] = h
    return y


def readout(y, lengths):
    """r (B, 2H): forward state of the last frame, backward state of the first."""
    H = y.shape[2] // 2
    return np.stack([np.concatenate([y[u, length - 1, :H], y[u, 0, H:]]) for u, length in enumerate(lengths)])
