import numpy as np

EXERCISE = "lstm_cell_forward"


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm_cell_forward(z, c):
    i, f, g, o = np.split(z, 4, axis=1)
    i, f, o = sigmoid(i), sigmoid(f), sigmoid(o)
    g = np.tanh(g)
    c_after = f * c + i * g
    h = o * np.tanh(c_after)
    return np.concatenate([i, f, g, o], axis=1), c_after, h
