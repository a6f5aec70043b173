"""python -m scratchser.bench.start CONTESTANT BINS: the first steps of a new process as JSON, for `measure`."""

import importlib
import json
import sys
import time


def start(contestant: str, bins: int) -> dict[str, dict[str, float]]:
    """Seconds of the import and of the first step, and memory before and after all batches."""
    begin = time.perf_counter()
    # the import of PyTorch itself: its tasks also import our modules, for their inputs
    importlib.import_module("scratchser.bench.ours" if contestant == "ours" else "torch")
    imported = time.perf_counter()
    from scratchser.bench.child import tasks_of
    from scratchser.bench.clock import peak_memory

    tasks, memory = tasks_of(contestant), peak_memory()
    task = tasks["step"](bins)
    ready = time.perf_counter()
    task.run()
    first_step = time.perf_counter() - ready
    for _ in range(task.cycle - 1):
        task.run()
    return {
        "time": {"import s": imported - begin, "first step s": first_step},
        "memory": {"MB when imported": memory // 10**6, "MB at most": peak_memory() // 10**6},
    }


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print("usage: python -m scratchser.bench.start CONTESTANT BINS", file=sys.stderr)
        sys.exit(2)
    print(json.dumps(start(sys.argv[1], int(sys.argv[2]))))
