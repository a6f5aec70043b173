"""The tables of docs/verification.md, written from the tests: python tests/helpers/verification.py

The rest of the page is kept. So is what it says of a kernel's run on a card: after pytest -m cuda -k gpu, which prints
the kernels that ran, change the last column by hand.
"""

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), *(str(TESTS / folder) for folder in ("helpers", "kernels", "kernels/cuda", "tracer"))]

from scratchser.bench.cuda import paper_step  # noqa: E402

PAGE = TESTS.parent / "docs" / "verification.md"
TESTED_WITH = {"frames": "lstm", "stream": "lstm", "batchnorm_frame": "batchnorm", "statistics": "batchnorm"}


def kernel_rows(page: str) -> Iterator[str]:
    cards = dict(re.findall(r"^\| (\w+\.\w+) \|.*\| (.+) \|$", page, re.MULTILINE))
    for name in paper_step.kernel_names():
        module = name.partition(".")[0]
        test = f"tests/kernels/cuda/test_{TESTED_WITH.get(module, module)}_cuda.py"
        yield f"| {name} | {test} | yes | {cards.get(name, 'no')} |"


def tracer_tests() -> Iterator[str]:
    """The tests of the tracer that plant a fault."""
    module = importlib.import_module("test_planted_faults")
    for name, test in vars(module).items():
        if name.startswith("test_") and "plant(" in inspect.getsource(test):
            yield f"- `{name}`"


def fault_rows(file: Path) -> Iterator[str]:
    """The table of a test file, if it plants faults. The last four entries of a case are shown."""
    module = importlib.import_module(file.stem)
    planted = [case[-4:] for case in getattr(module, "FAULTS", ())]
    planted += [("multiply", *case) for case in getattr(module, "MULTIPLY", ())]
    if planted:
        yield f"\n### tests/kernels/cuda/{file.name}\n\n| function | line | replaced by | found as |\n|---|---|---|---|"
    for function, line, replacement, kind in planted:
        cells = (f"`{cell}`".replace("|", "\\|") for cell in (line, replacement))
        yield f"| {function} | {' | '.join(cells)} | {kind} |"


def text(page: str) -> str:
    """The page with its tables written again."""
    kernels = "\n".join(kernel_rows(page)) + "\n"
    faults = [row for file in sorted(TESTS.glob("kernels/cuda/test_*_cuda.py")) for row in fault_rows(file)]
    planted = "\n".join([*tracer_tests(), *faults]) + "\n"
    page = re.sub(r"(\| kernel \|.*\n.*\n)(?:\|.*\n)*", lambda head: head[1] + kernels, page)
    return re.sub(r"(?<=faults\.py`:\n\n).*?(?=\n## Stress)", lambda _: planted, page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(text(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
