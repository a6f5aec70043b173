import numpy as np

EXERCISE = "lstm_backward"


def lstm_backward(dy, x, lengths, Wx, Wh, h0, c0, gates, c, y, dWx, dWh, db):
    B, T, D = x.shape
    H = Wh.shape[0]
    dx = np.zeros_like(x)
    dh0, dc0 = np.zeros_like(h0), np.zeros_like(c0)
    for b in range(B):
        dh, dc = np.zeros_like(h0[b]), np.zeros_like(c0[b])
        for t in range(lengths[b] - 1, -1, -1):
            i, f, g, o = gates[b, t].reshape(4, H)
            h_before = y[b, t - 1] if t > 0 else h0[b]
            c_before = c[b, t - 1] if t > 0 else c0[b]
            squashed = np.tanh(c[b, t])
            dh = dh + dy[b, t]
            dc = dc + dh * o * (1 - squashed**2)
            di = dc * g * i * (1 - i)
            df = dc * c_before * f * (1 - f)
            dg = dc * i * (1 - g**2)
            do = dh * squashed * o * (1 - o)
            dz = np.concatenate([di, df, dg, do])
            dx[b, t] = dz @ Wx.T
            dWx += np.outer(x[b, t], dz)
            dWh += np.outer(h_before, dz)
            db += dz
            dh = dz @ Wh.T
            dc = dc * f
        dh0[b], dc0[b] = dh, dc
    return dx, dh0, dc0
