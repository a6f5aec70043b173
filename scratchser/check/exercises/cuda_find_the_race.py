"""A given kernel with a race: smoothing the frames of an utterance in shared memory, round by round."""

import numpy as np

from scratchser.check.exercises import exercise as ex

PARTS = {
    "race": ex.Part("In which line does a thread read an element that another thread writes?",
        "Thread t reads part[t + 1], which thread t + 1 writes in the same round. Put a barrier between the two.",
        "mean = float32(0.5) * (part[t] + part[t + 1]), then cuda.syncthreads(), then part[t] = mean.",
    ),
    "divergent barrier": ex.Part("Does the last thread reach your new barrier?",
        "A barrier must not stand in an if that some threads skip.",
        "End the if before cuda.syncthreads(), and begin it again after it.",
    ),
    "y": ex.Part("Compute two rounds for a row of three frames by hand.",
        "In each round part[t] becomes (part[t] + part[t + 1]) / 2, of the values before the round.",
        "mean = float32(0.5) * (part[t] + part[t + 1]) if t + 1 < T else part[t]", {
        "one round too few": "the result is that of the round before. With two arrays: which one is written last?",
        "one round too many": "the loop over the rounds makes one round too many.",
        **ex.variants("one round only", "a round begins with the result of the one before.", "each from x", "no loop"),
        "neighbour already smoothed": "part[t + 1] must be the value from before this round, not after it.",
        "left neighbour": "the neighbour of frame t is t + 1.",
        "last frame halved": "the last frame has no neighbour and keeps its value.",
        "last frame set to 0": "the last frame has no neighbour: it keeps its value.",
        "mean forgotten": "part[t] becomes the mean of two values: divide their sum by 2.",
        "own value forgotten": "part[t] becomes the mean of its own value and its neighbour's.",
    }),
}  # fmt: skip


def smoothed(a: ex.Arguments, mistakes: ex.Mistakes, THREADS: int) -> ex.Outputs:
    x, rounds = a["x"].astype(np.float64), int(a["rounds"])
    rounds += ("one round too many" in mistakes) - ("one round too few" in mistakes)
    rounds = {"each from x": min(rounds, 1), "no loop": 1}.get(ex.kind(mistakes, "one round only"), rounds)
    frames = x[:, ::-1] if "left neighbour" in mistakes else x
    for _ in range(rounds):
        before = frames.copy()
        neighbours = frames if "neighbour already smoothed" in mistakes else before
        for t in range(x.shape[1] - 2, -1, -1):
            own = neighbours[:, t + 1] if "own value forgotten" in mistakes else before[:, t]
            frames[:, t] = (own + neighbours[:, t + 1]) / (1 if "mean forgotten" in mistakes else 2)
        if "last frame halved" in mistakes:
            frames[:, -1] /= 2
        frames[:, -1] *= "last frame set to 0" not in mistakes
    return {"y": x.astype(np.float32)}


def cases(THREADS: int) -> dict[str, ex.Launch]:
    rng, launches = np.random.default_rng(8), {}
    sizes = {"a full block, 3 rounds": (2, THREADS, 3), "more threads than frames, 2 rounds": (2, THREADS - 1, 2),
             "1 frame, 1 round": (1, 1, 1), "no round": (1, THREADS, 0)}  # fmt: skip
    for name, (B, T, rounds) in sizes.items():
        x = rng.integers(1, 99, (B, T)).astype(np.float32) / 4
        y = np.full((B, T), ex.UNWRITTEN, np.float32)
        launches[name] = ex.Launch(B, THREADS, {"x": x, "rounds": rounds, "y": y})
    return launches


EXERCISE = ex.CudaExercise(
    constant=("THREADS", 2, 64),
    cases=cases,
    reference=smoothed,
    parts=PARTS,
    counted="a full block, 3 rounds",
    cost=lambda launch: ex.Cost("each element once", launch.arguments["x"].size, launch.arguments["y"].size),
    wasteful="A thread reads its x once, before the rounds, and writes its y once, after them. The rounds use shared "
    "memory only.",
    axes={"y": ("utterance", "frame")},
)
