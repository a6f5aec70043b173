"""python -m scratchser.bench.start ours|torch: seconds to import it and of its first step, as JSON; for `measure`."""

import importlib
import json
import sys
import time


def start(contestant: str) -> dict[str, float]:
    """PyTorch's own import is timed, not that of its tasks, which take their inputs from our modules."""
    began = time.perf_counter()
    importlib.import_module({"ours": "scratchser.bench.ours", "torch": "torch"}[contestant])
    imported = time.perf_counter()
    from scratchser.bench.child import tasks_of

    task = tasks_of(contestant)["step"](257)
    ready = time.perf_counter()
    task.run()
    return {"import": imported - began, "step": time.perf_counter() - ready}


if __name__ == "__main__":
    print(json.dumps(start(sys.argv[1])))
