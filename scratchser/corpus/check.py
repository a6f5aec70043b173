"""What has to be mended before a corpus is trained on, and what one should know about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from scratchser.corpus.audio import RATE, WINDOW_MS, AudioReport, Progress, check_audio, has_audio
from scratchser.corpus.table import Corpus, CorpusError, Problem, Utterance, natural


def check(
    corpus: Corpus, window_ms: float = WINDOW_MS, progress: Progress = iter
) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
    """What `check` finds, and a sentence for each thing about the audio that is not broken but bears on the results."""
    if not has_audio(corpus):
        raise CorpusError(f"{corpus.root}: labels only, none of the {len(corpus.utterances)} wav files is there")
    if all(u.path is None for u in corpus.utterances):
        return corpus.problems, ()  # the corpus makes its sound itself
    heard = check_audio(corpus, window_ms, progress)
    problems = (*corpus.problems, *heard.problems)
    return problems, (*conversions(heard, {problem.utterance for problem in problems}), *truncated(heard))


def conversions(heard: AudioReport, left_out: Collection[str] = ()) -> tuple[str, ...]:
    """A sentence for each rate and number of channels that is changed; none where everything is 16 kHz mono."""
    formats = [found for name, found in heard.formats.items() if name not in left_out]
    rates, channels = Counter(rate for rate, _ in formats), Counter(many for _, many in formats)
    what = [(rates[rate], _resampled(rate)) for rate in sorted(rates) if rate != RATE]
    what += [(channels[many], f"mixed down from {many} channels") for many in sorted(channels) if many > 1]
    return tuple(f"{count} of {len(formats)} utterances {done}" for count, done in what)


def _resampled(rate: int) -> str:
    """With what is not there for a model that listens up to 8 kHz: resampling makes no new frequencies."""
    return f"resampled from {rate} to {RATE} Hz" + (f", with nothing above {rate / 2:g} Hz" if rate < RATE else "")


def truncated(heard: AudioReport) -> tuple[str, ...]:
    """The sentence about wav files that end too early, where there are any."""
    if not heard.truncated:
        return ()
    shown = ", ".join(map(str, heard.truncated[:5])) + " ..." * (len(heard.truncated) > 5)
    return (f"{len(heard.truncated)} wav files end before their header says, as interrupted copies do: {shown}",)


def label_warnings(corpus: Corpus) -> tuple[str, ...]:
    """One sentence for each thing about the labels that is not broken but bears on the results."""
    return (*_unlike_the_release(corpus), *_missing_classes(corpus), *_outvoted(corpus))


def _unlike_the_release(corpus: Corpus) -> list[str]:
    differ = [f"{count.what} {count.found} of {count.expected}" for count in corpus.expected_counts if count.found != count.expected]
    if not differ:
        return []
    shown = ", ".join(differ[:5]) + ", ..." * (len(differ) > 5)
    return [f"{len(differ)} counts are not those of the complete release: {shown}"]


def _missing_classes(corpus: Corpus) -> list[str]:
    spoken: dict[str, set[int]] = {speaker: set() for speaker in sorted(corpus.speakers, key=natural)}
    for utterance in corpus.utterances:
        spoken[utterance.speaker].add(utterance.label)
    lines = []
    for speaker, labels in spoken.items():
        missing = [name for index, name in enumerate(corpus.classes) if index not in labels]
        if missing:
            names = ", ".join(missing)
            lines.append(f"speaker {speaker} has no {names}: the UA is the mean over {len(labels)} classes there")
    return lines


def _outvoted(corpus: Corpus) -> list[str]:
    def share(utterance: Utterance) -> float:
        label = corpus.classes[utterance.label]
        return sum(label in given for given in utterance.votes) / len(utterance.votes)

    names = [u.name for u in corpus.utterances if u.votes and share(u) < 0.5]
    if not names:
        return []
    shown = ", ".join(names[:5]) + " ..." * (len(names) > 5)
    return [f"the label of {len(names)} utterances was given by fewer than half of their annotators: {shown}"]
