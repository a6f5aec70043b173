import numpy as np

EXERCISE = "linear_backward"


def linear_backward(dy, x, W, dW, db):
    dx = np.zeros_like(x)
    for b in range(x.shape[0]):
        for d in range(x.shape[1]):
            for k in range(W.shape[1]):
                dx[b, d] += dy[b, k] * W[d, k]
                dW[d, k] += x[b, d] * dy[b, k]
        for k in range(W.shape[1]):
            db[k] += dy[b, k]
    return dx
