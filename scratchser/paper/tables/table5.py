"""Table 5: what several annotators make of one utterance, as a soft label and a weight in the loss (section 3.3).

The paper's four utterances where the corpus has them, otherwise one example of each kind of disagreement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from scratchser.corpus.readers.labels import CODES
from scratchser.corpus.table import CLASSES, Corpus, Utterance
from scratchser.corpus.votes import Votes, soft_label, unanimous
from scratchser.paper import output
from scratchser.paper.output import Output, Table

CODE_OF = {name: code for code, name in CODES.items()}

# What the paper's table says: soft label, weight, subset
PAPER = {
    "Ses01F_impro05_M020": ("0.75 0 0.25 0", "0.67", "amb"),
    "Ses02M_impro08_F023": ("0.33 0.67 0 0", "1", "amb"),
    "Ses02M_impro06_M012": ("0 0 0.83 0.17", "1", "una"),
    "Ses01F_impro01_M011": ("0 0 0 1", "0.5", "amb"),
}

Kind = Callable[[Votes, str, Sequence[str]], bool]  # (votes, hard label, classes)


def _outvoted(votes: Votes, label: str, among: Callable[[str], bool]) -> bool:
    """True where one annotator names something else alone, of which `among` holds, and all others the label alone."""
    others = [given for given in votes if tuple(given) != (label,)]
    return len(others) == 1 < len(votes) and label not in others[0] and all(map(among, others[0]))


KINDS: Mapping[str, Kind] = {
    "all name the label alone": lambda votes, label, _: all(tuple(given) == (label,) for given in votes),
    "all name the label, one of them another class too": lambda votes, label, classes: (
        unanimous(votes, label) and [_inside(given, classes) for given in votes if len(given) > 1] == [2]
    ),
    "all name the label, one of them something outside the classes too": lambda votes, label, classes: (
        unanimous(votes, label) and [_inside(given, classes) for given in votes if len(given) > 1] == [1]
    ),
    "one names another class": lambda votes, label, classes: _outvoted(votes, label, lambda word: word in classes),
    "one names something outside the classes": lambda votes, label, classes: _outvoted(
        votes, label, lambda word: word not in classes
    ),
    "one names something else, another two things": lambda votes, label, _: (
        not unanimous(votes, label) and any(label in given and len(given) > 1 for given in votes)
    ),
}


def _inside(given: Sequence[str], classes: Sequence[str]) -> int:
    return sum(word in classes for word in given)


def build(corpus: Corpus) -> Output:
    """Columns as in the paper. Raises CorpusError for a corpus without annotators."""
    output.need_annotators(corpus, "table 5")
    broken = {problem.utterance for problem in corpus.problems}
    usable = [u for u in corpus.utterances if u.votes and all(u.votes) and u.name not in broken]
    chosen, notes = _chosen(corpus, usable)
    count = max((len(u.votes) for u in chosen), default=0)
    rows = [_row(u, corpus.classes, count) for u in chosen]
    columns = ("utterance", "true", *(f"ann. {n}" for n in range(1, count + 1)))
    made = Table(
        f"Table 5: soft labels and weights of some utterances, {output.name(corpus)}",
        (*columns, "hard label", "soft label", "weight", "subset"),
        tuple(rows),
        (
            f"hard and soft label: {', '.join(corpus.classes)}, in this order",
            "ann.: annotator; una: unanimous, amb: ambiguous; oth: outside the classes, or other",
            *notes,
            *output.notes(corpus),
        ),
    )
    return Output({"table5": made})


def _chosen(corpus: Corpus, usable: Sequence[Utterance]) -> tuple[list[Utterance], list[str]]:
    """The examples, and why just these."""
    by_name = {u.name: u for u in usable}
    theirs = [by_name[name] for name in PAPER if name in by_name] if output.of_the_paper(corpus) else []
    if theirs:
        return theirs, _beside_the_paper(theirs, corpus.classes)
    examples: dict[str, Utterance] = {}
    for kind, holds in KINDS.items():
        taken = {u.name for u in examples.values()}
        for u in usable:
            if u.name not in taken and holds(u.votes, corpus.classes[u.label], corpus.classes):
                examples[kind] = u
                break
    notes = [f"{u.name}: {kind}" for kind, u in examples.items()]
    return list(examples.values()), notes + [f"no utterance where {kind}" for kind in KINDS if kind not in examples]


def _beside_the_paper(theirs: Sequence[Utterance], classes: Sequence[str]) -> list[str]:
    missing = [name for name in PAPER if name not in {u.name for u in theirs}]
    notes = [f"the paper's examples that are not here: {', '.join(missing)}"] if missing else []
    if tuple(classes) != CLASSES:
        return [*notes, "the paper's utterances, but not its classes"]
    differ = [u.name for u in theirs if _row(u, classes, 0)[3:] != PAPER[u.name]]
    found = f"differ from the paper: {', '.join(differ)}" if differ else "equal the paper's"
    return [*notes, f"soft labels, weights and subsets {found}"]


def _row(u: Utterance, classes: Sequence[str], annotators: int) -> tuple[str, ...]:
    """The cells of an utterance, with as many columns for annotators as the table has."""
    label = classes[u.label]
    soft, weight = soft_label(u.votes, classes)
    said = [", ".join(_code(word, classes) for word in given) for given in u.votes]
    return (
        u.name,
        _code(label, classes),
        *(said + ["-"] * annotators)[:annotators],
        " ".join(str(int(name == label)) for name in classes),
        " ".join(map(_number, soft)),
        _number(weight),
        "una" if unanimous(u.votes, label) else "amb",
    )


def _code(word: str, classes: Sequence[str]) -> str:
    return CODE_OF.get(word, word) if word in classes else "oth"


def _number(value: float) -> str:
    """Two digits at most, as the paper writes them."""
    return f"{round(float(value), 2):g}"
