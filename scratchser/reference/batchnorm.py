"""Bi-LSTM with batch normalisation, eqs. (6) to (14): step by step, all utterances of a batch together."""

import numpy as np

from scratchser.reference.lstm import sigmoid

PARTS = {"frame-8": 1, "frame-9": 2, "sequence": 1, "layer": 1}  # how many sums are normalised separately


def mean_and_variance(values, axis):
    """Statistics of values (rows, 4H), real or complex.

    Returns the number of elements that each one averages, the mean (4H,) and the variance (4H,).
    """
    mean = values.mean(axis=axis, keepdims=True)
    variance = ((values - mean) ** 2).mean(axis=axis, keepdims=True)
    return values.size // mean.size, *(np.broadcast_to(a, (1, values.shape[1]))[0] for a in (mean, variance))


def forward(x, lengths, Wx, Wh, gamma, beta, h0, c0, kind, epsilon, known=None):
    """y (B, T, 2H), zero past the end, and the statistics used: [part, step, direction] -> count, mean, variance.

    x (B, T, D), Wx (D, 2, 4H), Wh (2, H, 4H), gamma (parts, 2, 4H), beta (2, 4H), h0 and c0 (2, B, H). Kinds with one
    statistic for all frames have it under step 0. known(part, step, direction) -> mean, variance, each (4H,), replaces
    the statistics of the batch.
    """
    (B, T, _), H = x.shape, Wh.shape[1]
    y = np.zeros((B, T, 2 * H), np.result_type(x, Wx, Wh, gamma, beta, h0, c0))
    used = {}

    def normalised(part, step, direction, values):
        if known is None:
            used[part, step, direction] = mean_and_variance(values, (0, 1) if kind == "layer" else 0)
            _, mean, variance = used[part, step, direction]
        else:
            mean, variance = known(part, step, direction)
        return gamma[part, direction] * (values - mean) / np.sqrt(variance + epsilon)

    for direction in range(2):
        inputs = [x[b, : lengths[b]] @ Wx[:, direction] for b in range(B)]
        if kind in ("sequence", "layer"):
            together = normalised(0, 0, direction, np.concatenate(inputs))
            inputs = np.split(together, np.cumsum(lengths)[:-1])
        h, c = h0[direction].astype(y.dtype), c0[direction].astype(y.dtype)
        for n in range(int(lengths.max())):
            rows = [b for b in range(B) if lengths[b] > n]
            frames = [n if direction == 0 else lengths[b] - 1 - n for b in rows]
            of_input = np.array([inputs[b][t] for b, t in zip(rows, frames, strict=True)])
            of_state = h[rows] @ Wh[direction]
            if kind == "frame-8":
                z = normalised(0, n, direction, of_input + of_state)
            elif kind == "frame-9":
                z = normalised(0, n, direction, of_input) + normalised(1, n, direction, of_state)
            else:
                z = of_input + of_state
            z = z + beta[direction]
            i, f, o = sigmoid(z[:, :H]), sigmoid(z[:, H : 2 * H]), sigmoid(z[:, 3 * H :])
            c[rows] = f * c[rows] + i * np.tanh(z[:, 2 * H : 3 * H])
            h[rows] = o * np.tanh(c[rows])
            for b, t in zip(rows, frames, strict=True):
                y[b, t, direction * H : (direction + 1) * H] = h[b]
    return y, used
