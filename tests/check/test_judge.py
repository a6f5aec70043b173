"""What the judge reports about wrong files: errors, wrong numbers, wrong memory accesses."""

from pathlib import Path

import pytest

from scratchser.check.judge import cpu, timing
from scratchser.check.judge.judge import judge

SOLUTIONS = Path(__file__).parent / "solutions"
LINEAR = (SOLUTIONS / "linear_backward.py").read_text()
SOFTMAX = (SOLUTIONS / "softmax_loss.py").read_text()
CONV = (SOLUTIONS / "conv2d_backward.py").read_text().replace("@njit\n", "")
SAXPY = (SOLUTIONS / "cuda_saxpy.py").read_text()
SUM = (SOLUTIONS / "cuda_block_sum.py").read_text()
HEAD = 'import numpy as np\nEXERCISE = "linear_backward"\ndef linear_backward(dy, x, W, dW, db):\n'


@pytest.fixture
def judged(tmp_path, monkeypatch):
    """judged(text) is the verdict on a file with this text, without the time: the package's kernels compile slowly."""
    monkeypatch.setattr(timing, "compared", lambda exercise, function: [])

    def call(text):
        path = tmp_path / "mine.py"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return judge(path)

    return call


# ---- files that cannot be judged, and errors ------------------------------------------------------------------------


def linear(old, new, before=""):
    assert old in LINEAR
    return before + LINEAR.replace(old, new)


def saxpy(old, new, before=""):
    assert old in SAXPY
    return before + SAXPY.replace(old, new)


COARSE = "return dx if dx.dtype == 'd' else dx.astype(np.float16).astype(dx.dtype)"
KEPT = "BUFFERS.setdefault((x.shape, x.dtype), np.zeros_like(x))"
NUMPY_IN_KERNEL = "import numpy as np\n" + SUM.replace("cuda.shared.array(THREADS, float32)", "np.zeros(THREADS)")
NJIT, COMPILED = "from numba import njit\n", LINEAR.replace("def ", "@njit\ndef ")

REPORTS = [  # file, what the finding contains, what its hints contain
    ("x = 1\n", 'no line EXERCISE = "..."', "One of: "),
    ('EXERCISE = "linear_backwards"\n', "no exercise 'linear_backwards'; did you mean 'linear_backward'?", "One of: "),
    (HEAD + "    return (\n", "line 4, column 12: return (\nSyntaxError: '(' was never closed", "at `(`."),
    (HEAD.encode() + b"    x = '\xe4'\n", "SyntaxError: (unicode error) 'utf-8' codec", "saved as UTF-8?"),
    ('EXERCISE = "vtlp"\n', "there is no function vtlp", "def vtlp(S, alpha)"),
    (linear("dy, x, W, dW", "x, dy, W, dW"), "has the parameters (x, dy, W, dW, db)", "the order counts"),
    (linear("x[b, d] * dy[b, k]", "x[b, d] * dy[b, k + 1]"), "IndexError: index", "is out of range"),
    (HEAD + "    return x @ dy\n", "line 4: return x @ dy\nValueError: matmul", "must be transposed"),
    (linear("    return dx\n", ""), "must return dx; it writes to dW, db in place\nit has no return statement", ""),
    (linear("    return dx\n", "    return\n"), "in place\nline 15: return has no value", ""),
    (linear("    return", "    if not len(x):\n        return"), "the return in line 16 is not reached", ""),
    (linear("return dx", "return dx, dW"), "returns 2 arrays, but must return dx; it writes to dW, db in place", ""),
    (HEAD + "    return np.zeros((7, 7))\n", "dx has shape (7, 7), should be (4, 3)", ""),
    (linear("zeros_like(x)", "zeros(x.shape)"), "dx is float64, but all arguments are float32", "np.zeros_like(x)"),
    (linear("return dx", "return dx.astype(int)"), "dx is int64, should have the arguments'", ""),
    (linear("return dx", "return dx if len(x) == 4 else dx.T"), "dx has shape (7, 5), should be (5, 7)", ""),
    (linear("return dx", "return np.ma.array(dx)"), "dx is a MaskedArray, not a NumPy array", ""),
    (SOFTMAX.replace("return loss, dlogits", "return {}"), "returns one dict, but must return loss, dlogits", ""),
    (SOFTMAX.replace("return loss,", "return int(loss),"), "loss is a int, not a float", ""),
    (linear("return dx", COARSE), "dx at [", "what is rounded here?"),
    (linear("    dx = np", "    x *= 2\n    dx = np"), "x is changed", "Work on a copy"),
    (linear("np.zeros_like(x)", KEPT, "BUFFERS = {}\n"), "dx has other numbers when the function", "keep an array"),
    ("raise SystemExit\n" + LINEAR, "the file ends the process with sys.exit()", ""),
    (NJIT + HEAD.replace("def ", "@njit\ndef ") + "    dy.no_such(x)\n", "TypingError: ", "run as plain Python"),
    (NJIT + COMPILED.replace("db[k] +=", "db[k + 1] +="), "index is out of bounds", "remove the decorator"),
    (saxpy("@cuda.jit\n", ""), "cuda_saxpy is not a CUDA kernel", "@cuda.jit"),
    (NUMPY_IN_KERNEL, "line 10: part = np.zeros(THREADS)\nnp.zeros makes an array", "cuda.shared.array(shape, dtype)"),
    (saxpy("BLOCK = 4", "BLOCK = 4096"), "the constant BLOCK is 4096", "from 1 to 64"),
    (saxpy("        y[i] =", "        x[i] ="), "the kernel writes to x", ""),
    (saxpy("y[i] = a * x[i]", "cuda.atomic.add(y, i, a)"), "cuda.atomic is not supported", "indices, barriers"),
    (SUM.replace("t == 0", "t == 0 < cuda.blockIdx.x"), "sums at [block 0] is never written", "leave them out?"),
    (saxpy(" + y[i]", " + y[i] + x[i] - x[i]"), "global reads: 56, each element once needs 28", "in a variable"),
]


@pytest.mark.parametrize(("text", "reported", "hint"), REPORTS, ids=[reported for _, reported, _ in REPORTS])
def test_a_wrong_file_gets_one_finding_with_a_hint_and_no_stack_trace(text, reported, hint, judged):
    verdict = judged(text)
    assert not verdict.passed and verdict.finished
    (finding,) = verdict.failures
    assert reported in finding.text and "Traceback" not in finding.text
    assert hint in " ".join(finding.hints)


def test_a_file_with_a_syntax_error_keeps_its_exercise(judged):
    for line, exercise, checks in (
        ('EXERCISE = "linear_backward"', "linear_backward", 8),
        ("EXERCISE='vtlp'", "vtlp", 3),
        ('EXERCISE = "no_such"', "", 0),
    ):
        verdict = judged(f"{line}\ndef linear_backward(:\n")
        assert (verdict.exercise, verdict.checks) == (exercise, checks)
        assert "line 2, column 21" in verdict.findings[0].text


def test_an_error_of_the_judge_is_not_reported_as_the_learners(judged, monkeypatch):
    def broken(*arguments):
        raise RuntimeError("an error of the judge")

    monkeypatch.setattr(cpu, "compare", broken)
    with pytest.raises(RuntimeError, match="an error of the judge"):
        judged(LINEAR)


def test_one_cause_is_shown_and_the_rest_is_counted(judged):
    verdict = judged(linear("dW[d, k] +=", "dW[k, d] +=").replace("db[k] +=", "db[k] ="))
    text, everything = verdict.as_text(everything=False, hint=3), verdict.as_text()
    assert text.count("FAIL") == 1 and "2 more checks failed, shown by --all." in text
    assert "-> transposed index in dW: " in text and "hint 3 of 3: dW[d, k] += x[b, d] * dy[b, k]" in text
    assert everything.count("FAIL") == 3 and "hint" not in everything and "--all" not in everything
    assert text.splitlines()[-1].endswith("Recognised: transposed index in dW, accumulation forgotten.")
    assert all("transposed" not in line for line in verdict.hints[0]), "a nudge does not tell the mistake"


# ---- wrong numbers --------------------------------------------------------------------------------------------------


PAST_THE_END = "FAIL nothing past the end of an utterance is read"
PLAIN_CONV = (SOLUTIONS / "cuda_conv2d_forward.py").read_text()
READS_PADDING = PLAIN_CONV.replace("total = bias[d]", "total = bias[d] + 0 * x[b, x.shape[1] - 1, 0, 0]")
NUMBERS = {  # what is wrong -> file, recognised mistakes, parts of the text
    "one element": (
        linear("    return dx", "    dW[0, 0] *= 1.5\n    return dx"), [],
        "dW at [feature 0, class 0] is", "(1.5 times); 1 of 9 elements are wrong",
        "FAIL finite differences of dW", "is 1.5 times the differences'",
    ),
    "float32 inside": (
        linear("return dx", "return dx.astype(np.float32).astype(dx.dtype)"), [],
        "dx at [", "is an array or a number float32?", "FAIL finite differences of dx", "is something float32?",
    ),
    "a small common factor": (
        linear("dW[d, k] +=", "dW[d, k] += 1.00003 *"), [], "every case is 1.00003 times what it should be",
    ),
    "unwritten memory": (
        CONV.replace("np.zeros_like(x)", "np.empty_like(x)"), [], "dx at [", "computed from unwritten memory",
    ),
    "padding is read, the numbers are right": (
        CONV.replace("    return dx", "    dx += 0 * x\n    return dx"), [], "ok dx is right", PAST_THE_END,
        "with NaN there in dy, x, y",
    ),
    "padding is read by a kernel": (READS_PADDING, [], "ok y is right", PAST_THE_END, "with NaN there in x, y["),
    "a kernel adds to an unwritten output": (
        SUM.replace("[cuda.blockIdx.x] =", "[cuda.blockIdx.x] +="), [],
        "sums is added to", "here -12345", "with =, not +=",
    ),
    "after an index out of range no output counts as right": (
        SUM.replace("[cuda.blockIdx.x]", "[cuda.blockIdx.x + 1]"), ["index out of range"],
        "FAIL every index is in range", "is written Not yet: 4 of 7 checks passed, 2 not reached",
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", NUMBERS)
def test_wrong_numbers_are_described(wrong, judged):
    file, mistakes, *parts = NUMBERS[wrong]
    verdict = judged(file)
    text = " ".join(verdict.as_text().split())
    assert not verdict.passed and verdict.mistakes == mistakes
    assert [part for part in parts if part not in text] == []
