"""Typical mistakes, planted in the worked solutions: each file fails, and exactly its mistakes are recognised."""

from dataclasses import replace
from pathlib import Path

import pytest
import wrong_files
import wrong_files_cuda

from scratchser.check.exercises import load
from scratchser.check.exercises.exercise import CpuExercise
from scratchser.check.judge import judge as steps

SOLUTIONS = Path(__file__).parent / "solutions"
FILES = [(name, *row) for name, rows in (wrong_files.WRONG | wrong_files_cuda.WRONG).items() for row in rows]


@pytest.fixture(autouse=True)
def outputs_only(monkeypatch):
    """Mistakes are recognised in the outputs: leave out the finite differences, which take most of the time."""

    def without_gradients(name):
        exercise = load(name)
        return replace(exercise, gradients=list) if isinstance(exercise, CpuExercise) else exercise

    monkeypatch.setattr(steps, "load", without_gradients)


def judged(exercise, exchanges, folder):
    """The verdict on the solution with texts exchanged. It is not compiled: running it once takes less time."""
    text = (SOLUTIONS / f"{exercise}.py").read_text(encoding="utf-8").replace("@njit\n", "")
    for old, new in zip(exchanges[::2], exchanges[1::2], strict=True):
        assert old in text, f"{old!r} is not in the solution"
        text = text.replace(old, new)
    path = folder / "answer.py"
    path.write_text(text, encoding="utf-8")
    return steps.judge(path)


@pytest.mark.parametrize(("exercise", "names", "exchanges"), [(name, names, rest) for name, names, *rest in FILES])
def test_a_wrong_file_fails_and_its_mistakes_are_recognised(exercise, names, exchanges, tmp_path):
    verdict = judged(exercise, exchanges, tmp_path)
    assert not verdict.passed
    assert ", ".join(sorted(verdict.mistakes)) == names, verdict.failures
    assert all(finding.hints for finding in verdict.failures if finding.mistakes)
    assert not names or verdict.cause.mistakes, "the failure that is shown has no name"
    assert [len(texts) >= 1 and all(texts) for texts in verdict.hints] == [True] * 3


def test_at_least_95_of_100_files_have_a_name():
    assert sum(bool(names) for _, names, *_ in FILES) >= 0.95 * len(FILES)


STEPS = [  # exercise, text in the solution, an error without a name, the line in which its hint begins
    ("lstm_backward", "dh + dy[b, t]", "dh + 2 * dy[b, t]", "dh = dh + dy"),
    ("lstm_backward", "dc = dc + dh * o", "dc = dc + 2 * dh * o", "dc = dc + dh * o"),
    ("lstm_backward", "dg = dc * i", "dg = 2 * dc * i", "di = dc * g"),
    ("batch_norm", "hat = (a - mean) * s", "hat = (a - 2 * mean) * s", "a = x["),
    ("conv2d_backward", "j - pf", "j - pf + 1", "u = t * st"),
    ("softmax_loss", "e = np.exp(z)", "e = np.exp(z / 2)", "z = logits[b]"),
    ("softmax_loss", "p * target[b].sum() - target[b]", "target[b] - p * target[b].sum()", "dlogits[b] ="),
    ("linear_backward", "return dx", "return dx, dW", "return dx"),
]


@pytest.mark.parametrize(("exercise", "old", "new", "line"), STEPS)
def test_the_hint_is_about_the_first_wrong_step(exercise, old, new, line, tmp_path):
    assert judged(exercise, [old, new], tmp_path).hints[2][0].startswith(line)


@pytest.mark.parametrize("exercise", ["conv2d_backward", "cuda_conv2d_forward"])
@pytest.mark.parametrize(("mistake", "word"), [("i - pt + 1", "late"), ("i - pt - 1", "early")])
def test_the_hint_tells_the_direction_of_a_shift_in_time(exercise, mistake, word, tmp_path):
    verdict = judged(exercise, ["i - pt", mistake], tmp_path)
    hints = [hint for finding in verdict.failures for hint in finding.hints]
    assert any(f"one frame too {word}" in hint for hint in hints)
