"""What must be fixed in a corpus before training, and warnings about it.

The readers and `check_audio` collect what is broken as `Problem`s; `describe` is how every command prints them.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from itertools import islice, pairwise
from statistics import median

from scratchser.corpus.audio import DEFAULT, RATE, AudioReport, Progress, check_audio, has_audio
from scratchser.corpus.leaks import repeated, similar_names
from scratchser.corpus.table import Corpus, CorpusError, Problem, natural
from scratchser.corpus.votes import Votes
from scratchser.presets import Config
from scratchser.support.errors import one_line

SCALES = 30.0  # between groups of speakers: far more than microphones differ
PRINTED = 10  # problems of one kind
COPIES = "with the same bytes as another one of the same speaker and class"


def check(
    corpus: Corpus, config: Config = DEFAULT, progress: Progress = iter
) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
    """Returns all problems in the labels and the audio, and notes about the audio that may affect the results.

    `corpus.without({problem.utterance for problem in problems})` leaves the broken utterances out.

    Raises CorpusError if there is no audio at all.
    """
    if corpus.utterances and not has_audio(corpus):
        missing = f"none of the {len(corpus.utterances)} wav files exists, for example {corpus.utterances[0].path}"
        raise CorpusError(f"{corpus.root}: labels only, {missing}")
    if all(u.path is None for u in corpus.utterances):
        return corpus.problems, ()  # the built-in corpus
    report = read_audio(corpus, config, progress)
    problems = (*corpus.problems, *report.problems)
    return problems, (*conversions(report, {problem.utterance for problem in problems}), *sound_warnings(report))


def read_audio(corpus: Corpus, config: Config = DEFAULT, progress: Progress = iter) -> AudioReport:
    """The report of `check_audio`, and duplicate recordings."""
    report = check_audio(corpus, config, progress)
    problems, copies = repeated(corpus.without({problem.utterance for problem in report.problems}))
    report.problems += problems
    if copies:
        report.unusual[COPIES] = copies
    return report


def describe(problems: Collection[Problem]) -> Iterator[str]:
    """Yields a line for each different problem, kind by kind, then their number. Of a kind, at most ten are printed."""
    kinds: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for problem in problems:
        kinds[problem.kind][problem.what].append(problem.where)
    for kind, equal in kinds.items():
        for what, places in islice(equal.items(), PRINTED):
            yield one_line(f"{places[0]}: {what}") + f" (and {len(places) - 1} more like this)" * (len(places) > 1)
        if more := sum(len(places) for places in islice(equal.values(), PRINTED, None)):
            yield f"{more} more: {kind}; python -m scratchser.corpus --json lists all"
    if problems:
        yield f"{len(problems)} broken"


def conversions(report: AudioReport, left_out: Collection[str] = ()) -> tuple[str, ...]:
    """A sentence for each sampling rate and number of channels other than 16 kHz mono."""
    formats = [found for name, found in report.formats.items() if name not in left_out]
    rates, channels = Counter(rate for rate, _ in formats), Counter(number for _, number in formats)
    notes = []
    for rate in sorted(set(rates) - {RATE}):
        limit = f", with nothing above {rate / 2:g} Hz" * (rate < RATE)  # although the model may use up to 8 kHz
        notes.append((rates[rate], f"resampled from {rate} to {RATE} Hz{limit}"))
    notes += [(channels[number], f"mixed down from {number} channels") for number in sorted(channels) if number > 1]
    return tuple(f"{count} of {len(formats)} utterances {note}" for count, note in notes)


def sound_warnings(report: AudioReport) -> tuple[str, ...]:
    """A sentence for each thing about the sound that is not broken but may affect the results."""
    unusual = [
        f"{len(files)} sound file{'s' * (len(files) > 1)} {what}: {_first(files)}"
        for what, files in report.unusual.items()
    ]
    return (*unusual, *_scales(report))


def _scales(report: AudioReport) -> list[str]:
    """A sentence that names the fewer speakers if two groups of them differ in loudness by a factor of SCALES."""
    levels = {speaker: median(found) for speaker, found in report.levels.items()}
    order = sorted(levels, key=lambda speaker: levels[speaker])
    gaps = [levels[louder] / levels[fainter] for fainter, louder in pairwise(order)]
    if max(gaps, default=1) < SCALES:
        return []
    cut = gaps.index(max(gaps)) + 1
    faint, loud = sorted(order[:cut], key=natural), sorted(order[cut:], key=natural)
    ratio = median(levels[name] for name in loud) / median(levels[name] for name in faint)
    few, how = (loud, "louder") if len(loud) <= len(faint) else (faint, "fainter")
    who = f"speaker{'s' * (len(few) > 1)} {_first(few, 20)}"
    return [f"{who}: {ratio:.0f} times {how} than the others, as if in another scale"]


def label_warnings(corpus: Corpus) -> tuple[str, ...]:
    """A sentence for each thing about the labels that is not broken but may affect the results."""
    if not corpus.utterances:
        return ()  # nothing can be used, and the problems say why
    warnings = []
    if counts := [f"{c.what} {c.found} of {c.expected}" for c in corpus.expected_counts if c.found != c.expected]:
        warnings.append(f"{len(counts)} counts are not those of the complete release: {_first(counts)}")
    classes = Counter(corpus.classes[u.label] for u in corpus.utterances)
    if missing := _or([name for name in corpus.classes if not classes[name]]):
        warnings.append(f"no utterance is {missing}: the UA is the mean over the other classes")
    groups = defaultdict(list)  # of speakers who lack the same classes
    for speaker in sorted(corpus.speakers, key=natural):
        labels = {corpus.classes[u.label] for u in corpus.utterances if u.speaker == speaker}
        groups[_or([name for name in corpus.classes if classes[name] and name not in labels])].append(speaker)
    for missing, speakers in groups.items():
        if missing:
            who = f"speaker {speakers[0]} has" if len(speakers) == 1 else f"speakers {', '.join(speakers)} have"
            warnings.append(f"{who} no {missing}: the UA is the mean over the other classes there")
    for what, numbers in (("class", classes), ("speaker", Counter(u.speaker for u in corpus.utterances))):
        if single := [name for name, number in numbers.items() if number == 1]:
            warnings.append(f"only one utterance of {what} {_first(single)}: too few to learn from or to measure on")
    if names := [u.name for u in corpus.utterances if _is_minority_label(corpus.classes[u.label], u.votes)]:
        warnings.append(f"fewer than half of the annotators gave the label of {len(names)} utterances: {_first(names)}")
    return (*warnings, *similar_names(corpus))


def _is_minority_label(label: str, votes: Votes) -> bool:
    return sum(label in labels for labels in votes) < len(votes) / 2


def _or(names: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _first(items: Collection[object], most: int = 5) -> str:
    return ", ".join(map(str, list(items)[:most])) + ", ..." * (len(items) > most)
