"""The gradient of a dense layer's weights: the batch in parts, which are added in a fixed order."""

import numpy as np

from scratchser.check.exercises import exercise as ex
from scratchser.kernels.machine.device import blocks

HINTS = {
    "loop, index out of range": ex.Part("Which feature, class and utterances has a thread?",
        "d = cuda.blockIdx.y, k = cuda.grid(1) below K, and part s adds the rows s n to min((s + 1) n, B) - 1.",
        "n = -(-B // PARTS), then for b in range(s * n, min((s + 1) * n, B)): total += x[b, d] * dy[b, k]", {
        **ex.variants("accumulation forgotten", "= keeps the last utterance of each part: add up its products with +=.",
            "last utterance", "last of every PARTS-th"),
        "rest of the batch forgotten": "a part has ⌈B / PARTS⌉ utterances, not ⌊B / PARTS⌋, which may leave a rest.",
    }),
    "dW, race, uninitialised read, divergent barrier": ex.Part(
        "Several threads work on the same weight. How many of them write to dW, and what do the others do before?",
        "Every part writes its own element of shared memory. After a barrier, one thread adds them and writes to dW.",
        "part[s, x] = total, cuda.syncthreads() outside of every if, then if s == 0 and k < K: ... dW[d, k] += total", {
        "accumulation forgotten (start lost)": "dW contains a gradient already: add to it with +=.",
        "divided by the batch size": ex.SUMS["divided by the batch size"],
        "accumulation forgotten (first part)": "the result is that of part 0: one thread adds the other parts to it.",
        "accumulation forgotten (last part)": "= keeps the last part: add up all parts with +=.",
        "last part forgotten": "the loop over the parts must include the last one: range(PARTS).",
        "sum added PARTS times": "part s adds its own utterances only, and one thread of each weight adds to dW.",
        "old gradient in every part": "dW is added once, to the sum of the parts, and not in each of them.",
        "transposed index in dW": "dW is [feature, class]: x counts classes, cuda.blockIdx.y is the feature.",
    }),
}  # fmt: skip


def gradient(a: ex.Arguments, mistakes: ex.Mistakes, PARTS: int) -> ex.Outputs:
    x, dy, dW = (a[name].astype(np.float64) for name in ("x", "dy", "dW"))
    B, whole = len(x), np.arange(len(x))
    n = B // PARTS if "rest of the batch forgotten" in mistakes else -(-B // PARTS)
    parts = [whole[s * n : (s + 1) * n] for s in range(PARTS)]
    parts = [whole] * PARTS if "sum added PARTS times" in mistakes else parts
    used = {
        "last of every PARTS-th": [whole[s::PARTS][-1:] for s in range(PARTS)],
        "last utterance": [part[-1:] for part in parts],
        "first part": parts[:1],
        "last part": parts[-1:],
    }
    parts = parts[:-1] if "last part forgotten" in mistakes else parts
    parts = used.get(ex.kind(mistakes, "accumulation forgotten"), parts)
    total = sum((x[part].T @ dy[part] for part in parts), np.zeros(dW.shape))
    if "old gradient in every part" in mistakes:
        total += (PARTS - 1) * dW
    if "transposed index in dW" in mistakes and dW.shape[0] == dW.shape[1]:
        total = total.T
    result = ex.added({"x": x, "dW": dW}, {"dW": total}, mistakes)
    return {"dW": result["dW"].astype(np.float32)}


def launch(PARTS: int, B: int, D: int, K: int, seed: int) -> ex.Launch:
    rng = np.random.default_rng(seed)
    shapes = {"x": (B, D), "dy": (B, K), "dW": (D, K)}
    arguments = {name: rng.integers(1, 19, shape).astype(np.float32) / 2 for name, shape in shapes.items()}
    return ex.Launch((blocks(K, PARTS), D), (PARTS, PARTS), arguments)


def cases(PARTS: int) -> dict[str, ex.Launch]:
    """As many features as classes in the first: a transposed index is not out of range there."""
    return {
        "as many features as classes": launch(PARTS, 2 * PARTS + 1, PARTS, PARTS, seed=0),
        "a block not full": launch(PARTS, 3 * PARTS, 3, PARTS + 1, seed=1),
        "fewer utterances than parts": launch(PARTS, PARTS - 1, 2, 4, seed=2),
        "one of each": launch(PARTS, 1, 1, 1, seed=3),
    }


def cost(launch: ex.Launch) -> ex.Cost:
    B, (D, K) = len(launch.arguments["x"]), launch.arguments["dW"].shape
    return ex.Cost("each part once", global_reads=(2 * B + 1) * D * K, global_writes=D * K)


EXERCISE = ex.CudaExercise(
    constant=("PARTS", 2, 8),
    cases=cases,
    reference=gradient,
    parts=HINTS,
    counted="as many features as classes",
    cost=cost,
    wasteful="A thread reads one x and one dy for each utterance of its part and adds up in a variable. One thread "
    "adds the parts, and reads and writes dW once.",
    axes={"dW": ("feature", "class")},
)
