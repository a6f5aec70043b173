import numpy as np
from numba import njit

EXERCISE = "conv2d_forward"


@njit
def convolve(x, lengths, W, bias, st, sf, y):
    B, T, F, C = x.shape
    I, J, C, D = W.shape
    pt, pf = (I - 1) // 2, (J - 1) // 2
    for b in range(B):
        length = lengths[b]
        frames = -(-length // st)
        for t in range(frames):
            for f in range(y.shape[2]):
                for d in range(D):
                    total = bias[d]
                    for i in range(I):
                        for j in range(J):
                            u = t * st + i - pt
                            v = f * sf + j - pf
                            if 0 <= u < length and 0 <= v < F:
                                for c in range(C):
                                    total += x[b, u, v, c] * W[i, j, c, d]
                    y[b, t, f, d] = max(total, 0)


def conv2d_forward(x, lengths, W, bias, stride):
    st, sf = stride
    B, T, F, C = x.shape
    y = np.zeros((B, -(-T // st), -(-F // sf), W.shape[3]), x.dtype)
    convolve(x, lengths, W, bias, st, sf, y)
    return y
