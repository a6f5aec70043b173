"""Whether a function reads past the end of an utterance."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from scratchser.check.exercises.exercise import Arguments, Outputs, copied, with_nan
from scratchser.check.judge.compare import Trial
from scratchser.check.judge.verdict import Finding


def past_the_end(
    cases: Mapping[str, Arguments], trials: list[Trial], run: Callable[[str, Arguments], Outputs]
) -> Iterator[Finding]:
    """The cases with NaN where the function must not read: no output may become NaN. Nothing for cases without NaN.

    run(name, arguments) -> outputs    of the case with these arguments, which it may change
    """
    check = "nothing past the end of an utterance is read"
    padded = [trial for trial in trials if with_nan(cases[trial.name])]
    for trial in padded:
        arguments = cases[trial.name]
        for output, value in run(trial.name, copied(arguments)).items():
            leaked = np.argwhere(np.isnan(value) & ~np.isnan(trial.outputs[output]))
            if len(leaked):
                index = leaked[0].tolist() or ""
                text = f'"{trial.name}": with NaN there in {", ".join(with_nan(arguments))}, {output}{index} is NaN'
                hint = "Read up to the utterance's length only. Multiplying by 0 is not enough: 0 · NaN is NaN."
                yield Finding(check, False, text, [hint])
                return
    if padded:
        yield Finding(check, True)
