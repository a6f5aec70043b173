"""python -m scratchser.bench.start ours|torch: seconds of its import and of its first step, as JSON, for `measure`."""

import importlib
import json
import sys
import time


def start(contestant: str) -> dict[str, float]:
    """For PyTorch this is its own import: the tasks also import our modules, for their inputs."""
    begin = time.perf_counter()
    importlib.import_module({"ours": "scratchser.bench.ours", "torch": "torch"}[contestant])
    imported = time.perf_counter()
    from scratchser.bench.child import tasks_of

    task = tasks_of(contestant)["step"](257)
    ready = time.perf_counter()
    task.run()
    return {"import s": imported - begin, "first step s": time.perf_counter() - ready}


if __name__ == "__main__":
    print(json.dumps(start(sys.argv[1])))
