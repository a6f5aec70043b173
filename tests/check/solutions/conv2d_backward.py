import numpy as np

EXERCISE = "conv2d_backward"


def conv2d_backward(dy, x, y, lengths, W, stride, dW, dbias):
    st, sf = stride
    B, T, F, C = x.shape
    I, J, C, D = W.shape
    pt, pf = (I - 1) // 2, (J - 1) // 2
    dx = np.zeros_like(x)
    for b in range(B):
        length = lengths[b]
        frames = -(-length // st)
        for t in range(frames):
            for f in range(dy.shape[2]):
                dz = np.where(y[b, t, f] > 0, dy[b, t, f], 0)
                dbias += dz
                for i in range(I):
                    for j in range(J):
                        u = t * st + i - pt
                        v = f * sf + j - pf
                        if 0 <= u < length and 0 <= v < F:
                            dW[i, j] += np.outer(x[b, u, v], dz)
                            dx[b, u, v] += W[i, j] @ dz
    return dx
