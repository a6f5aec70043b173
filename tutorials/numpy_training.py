"""The whole training in plain NumPy: tutorial 13 without its figures and checks.

Run it where scratchser is installed; it trains for less than a minute:

    python tutorials/numpy_training.py

It reads the built-in corpus, computes the spectrograms, trains two convolutions, a Bi-LSTM and a
dense layer, and prints the loss and the UA of the test speakers after each epoch. The functions are
those of tutorial 13, which compares them with the package.
"""

import numpy as np

from scratchser.corpus import synthetic

KERNELS = ((3, 9), (3, 3))
STRIDES = ((2, 8), (2, 2))
CHANNELS = (1, 8, 16)
FEATURES = 17 * CHANNELS[2]  # the strides leave 17 of 257 bins
UNITS = 16

EPOCHS = 8
BATCH = 16
MOMENTUM = 0.9
L2 = 0.001
LEARNING_RATES = {"conv": 0.02, "lstm": 0.01, "dense": 0.01}


# The data: spectrograms, and batches with padding


def spectrogram(sound):
    """Log power (T, 257) of a sound at 16 kHz."""
    window = np.sin(np.pi * np.arange(1024) / 1023) ** 2
    frames = np.lib.stride_tricks.sliding_window_view(sound, 1024)[::512]
    power = np.abs(np.fft.rfft(frames * window)[:, :257]) ** 2
    return np.log(np.maximum(power, 1e-2))


def batch(chosen):
    """x (B, T, 257, 1), zero past an utterance's end, and the lengths (B,)."""
    lengths = np.array([len(spectrograms[n]) for n in chosen])
    x = np.zeros((len(chosen), lengths.max(), 257, 1))
    for row, n in enumerate(chosen):
        x[row, : lengths[row], :, 0] = spectrograms[n]
    return x, lengths


def frames_of(lengths, T):
    """(B, T): True for the real frames."""
    return np.arange(T) < lengths[:, None]


# The parameters, under the names that the package uses


def glorot(rng, fan_in, fan_out, shape):
    return rng.uniform(-1, 1, shape) * np.sqrt(6 / (fan_in + fan_out))


def initial(rng):
    p = {}
    for n in range(2):
        shape = (*KERNELS[n], CHANNELS[n], CHANNELS[n + 1])
        p[f"conv{n + 1}.W"] = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:3]))
        p[f"conv{n + 1}.b"] = np.zeros(CHANNELS[n + 1])
    # two directions, and the gates i f g o of each side by side
    p["lstm1.Wx"] = glorot(rng, FEATURES, UNITS, (FEATURES, 2, 4 * UNITS))
    # orthogonal matrices, because they keep the length of h
    orthogonal = np.linalg.qr(rng.standard_normal((4, 2, UNITS, UNITS)))[0]
    p["lstm1.Wh"] = np.concatenate(orthogonal, axis=2)
    p["lstm1.b"] = np.zeros((2, 4 * UNITS))
    p["lstm1.b"][:, UNITS : 2 * UNITS] = 1  # the forget gate begins open
    p["dense.W"] = glorot(rng, 2 * UNITS, 4, (2 * UNITS, 4))
    p["dense.b"] = np.zeros(4)
    return p


# Forward


def taps(i, j, shape, stride):
    """The elements of the padded input that meet tap (i, j)."""
    return np.s_[:, i : i + shape[1] : stride[0], j : j + shape[2] : stride[1]]


def conv_forward(x, lengths, W, b, stride):
    """y (B, T', F', D), its lengths, and the padded input, which backward needs."""
    I, J = W.shape[:2]
    padded = np.pad(x, ((0, 0), ((I - 1) // 2, I // 2), ((J - 1) // 2, J // 2), (0, 0)))
    z = b
    for i, j in np.ndindex(I, J):
        z = z + padded[taps(i, j, x.shape, stride)] @ W[i, j]
    lengths = -(-lengths // stride[0])
    y = np.maximum(z, 0) * frames_of(lengths, z.shape[1])[:, :, None, None]
    return y, lengths, padded


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm_forward(x, real, Wx, Wh, b):
    """The last states (2, B, H) of x (2, B, T, D), and what backward needs of each step."""
    z = x @ Wx.swapaxes(0, 1)[:, None] + b[:, None, None]
    h = c = np.zeros((*x.shape[:2], UNITS))
    steps = []
    for t in range(x.shape[2]):
        i, f, g, o = np.split(z[:, :, t] + h @ Wh, 4, axis=2)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        new = f * c + i * g
        steps.append((h, c, i, f, g, o, np.tanh(new)))
        now = real[:, :, t, None]
        h = np.where(now, o * np.tanh(new), h)
        c = np.where(now, new, c)
    return h, steps


def forward(p, x, lengths):
    """Scores (B, 4) of a batch, and what backward needs."""
    convs = []
    for n in range(2):
        W, b = p[f"conv{n + 1}.W"], p[f"conv{n + 1}.b"]
        y, lengths, padded = conv_forward(x, lengths, W, b, STRIDES[n])
        convs.append((x, y, padded))
        x = y
    x = x.reshape(*x.shape[:2], FEATURES)
    x = np.stack([x, x[:, ::-1]])  # both directions: in the second one, the padding comes first
    real = frames_of(lengths, x.shape[2])
    real = np.stack([real, real[:, ::-1]])
    h, steps = lstm_forward(x, real, p["lstm1.Wx"], p["lstm1.Wh"], p["lstm1.b"])
    h = np.concatenate(h, axis=1)
    return h @ p["dense.W"] + p["dense.b"], (convs, x, real, steps, h)


def loss_of(scores, labels):
    """Mean cross-entropy, and its gradient (B, 4): the prediction minus the target."""
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    probability = e / e.sum(axis=1, keepdims=True)
    loss = -np.log(probability[np.arange(len(labels)), labels]).mean()
    return loss, (probability - np.eye(4)[labels]) / len(labels)


# Backward


def lstm_backward(dh, x, real, steps, Wx, Wh):
    """Gradients of x, Wx, Wh and b, from the gradient dh (2, B, H) of the last states."""
    dc = np.zeros_like(dh)
    dz = np.zeros((*x.shape[:3], 4 * UNITS))
    dWh = np.zeros_like(Wh)
    for t in reversed(range(len(steps))):
        h, c, i, f, g, o, squashed = steps[t]
        now = real[:, :, t, None]
        dnew = dc + dh * o * (1 - squashed**2)
        di = dnew * g * i * (1 - i)
        df = dnew * c * f * (1 - f)
        dg = dnew * i * (1 - g**2)
        do = dh * squashed * o * (1 - o)
        dz[:, :, t] = np.concatenate([di, df, dg, do], axis=2) * now
        dWh += h.swapaxes(1, 2) @ dz[:, :, t]
        dh = np.where(now, dz[:, :, t] @ Wh.swapaxes(1, 2), dh)
        dc = np.where(now, dnew * f, dc)
    dx = dz @ Wx.transpose(1, 2, 0)[:, None]
    dWx = np.stack([np.tensordot(x[d], dz[d], ((0, 1), (0, 1))) for d in range(2)], axis=1)
    return dx, dWx, dWh, dz.sum(axis=(1, 2))


def conv_backward(dy, x, y, padded, W, stride):
    """Gradients of x, W and b."""
    I, J = W.shape[:2]
    dz = dy * (y > 0)
    dW, dpadded = np.zeros_like(W), np.zeros_like(padded)
    for i, j in np.ndindex(I, J):
        at = taps(i, j, x.shape, stride)
        dW[i, j] = np.tensordot(padded[at], dz, ((0, 1, 2), (0, 1, 2)))
        dpadded[at] += dz @ W[i, j].T
    without_padding = taps((I - 1) // 2, (J - 1) // 2, x.shape, (1, 1))
    return dpadded[without_padding], dW, dz.sum(axis=(0, 1, 2))


def backward(p, dscores, kept):
    """The gradient of every parameter, from the top to the bottom."""
    convs, x, real, steps, h = kept
    d = {"dense.W": h.T @ dscores, "dense.b": dscores.sum(axis=0)}
    dh = np.stack(np.split(dscores @ p["dense.W"].T, 2, axis=1))
    Wx, Wh = p["lstm1.Wx"], p["lstm1.Wh"]
    dx, d["lstm1.Wx"], d["lstm1.Wh"], d["lstm1.b"] = lstm_backward(dh, x, real, steps, Wx, Wh)
    dx = dx[0] + dx[1][:, ::-1]  # reversed twice: the original order
    for n in reversed(range(2)):
        x, y, padded = convs[n]
        dy, W = dx.reshape(y.shape), p[f"conv{n + 1}.W"]
        dx, dW, db = conv_backward(dy, x, y, padded, W, STRIDES[n])
        d[f"conv{n + 1}.W"], d[f"conv{n + 1}.b"] = dW, db
    return d


# Training


def update(p, velocity, gradients, factor):
    """One step of Nesterov's method, in place."""
    for name, W in p.items():
        g = gradients[name] + (0 if name.endswith(".b") else L2 * W)
        velocity[name] = MOMENTUM * velocity[name] + g
        learning_rate = factor * LEARNING_RATES[name.partition(".")[0].rstrip("12")]
        W -= learning_rate * (g + MOMENTUM * velocity[name])


def step(p, velocity, chosen, factor):
    """Forward, backward and update. Returns the loss before the update."""
    scores, kept = forward(p, *batch(chosen))
    loss, dscores = loss_of(scores, labels[chosen])
    update(p, velocity, backward(p, dscores, kept), factor)
    return loss


def ua(p, chosen):
    """Unweighted accuracy: the mean recall of the classes."""
    right = forward(p, *batch(chosen))[0].argmax(axis=1) == labels[chosen]
    return np.mean([right[labels[chosen] == k].mean() for k in range(4)])


corpus = synthetic.load()
labels = np.array([utterance.label for utterance in corpus.utterances])
session = np.array([utterance.session for utterance in corpus.utterances])
train, test = np.flatnonzero(session != "5"), np.flatnonzero(session == "5")
spectrograms = [spectrogram(corpus.read(utterance)[0]) for utterance in corpus.utterances]
pixels = np.concatenate([spectrograms[n] for n in train])
mean, std = pixels.mean(), pixels.std()
spectrograms = [(S - mean) / std for S in spectrograms]

p = initial(np.random.default_rng(0))
velocity = {name: np.zeros_like(W) for name, W in p.items()}
rng = np.random.default_rng(2)
for epoch in range(EPOCHS):
    factor = 0.5 * (1 + np.cos(np.pi * epoch / EPOCHS))
    order = rng.permutation(train)
    parts = [order[n : n + BATCH] for n in range(0, len(order), BATCH)]
    loss = np.mean([step(p, velocity, part, factor) for part in parts])
    print(f"epoch {epoch + 1}: loss {loss:.3f}, UA of the test {ua(p, test):.3f}")
