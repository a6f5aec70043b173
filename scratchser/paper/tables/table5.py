"""Table 5: the soft label and the weight in the loss of some utterances with several annotators (section 3.3).

The paper's four utterances if the corpus has them, otherwise one example of each kind of disagreement.
"""

from collections.abc import Sequence

from scratchser.corpus.readers.labels import CODES
from scratchser.corpus.table import CLASSES, Corpus, Utterance
from scratchser.corpus.votes import Votes, soft_label, unanimous
from scratchser.paper import output
from scratchser.paper.output import Output, Table

CODE_OF = {name: code for code, name in CODES.items()}

# The paper's soft label, weight and subset
PAPER = {
    "Ses01F_impro05_M020": ("0.75 0 0.25 0", "0.67", "amb"),
    "Ses02M_impro08_F023": ("0.33 0.67 0 0", "1", "amb"),
    "Ses02M_impro06_M012": ("0 0 0.83 0.17", "1", "una"),
    "Ses01F_impro01_M011": ("0 0 0 1", "0.5", "amb"),
}


KINDS = (
    "all choose only the label",
    "all choose the label, one of them another class too",
    "all choose the label, one of them something outside the classes too",
    "one chooses another class",
    "one chooses something outside the classes",
    "one chooses something else, another two things",
)


def kind(votes: Votes, label: str, classes: Sequence[str]) -> str | None:
    """Which of KINDS the votes are, None if none of them."""
    deviating = [vote for vote in votes if tuple(vote) != (label,)]
    if not deviating:
        return KINDS[0]
    inside = [word in classes for word in deviating[0]]
    if unanimous(votes, label):
        one_more = KINDS[2] if sum(inside) == 1 else KINDS[1] if sum(inside) == 2 else None
        return one_more if len(deviating) == 1 else None
    if len(deviating) == 1 < len(votes):
        return KINDS[3] if all(inside) else KINDS[4] if not any(inside) else None
    return KINDS[5] if any(label in vote and len(vote) > 1 for vote in votes) else None


def build(corpus: Corpus) -> Output:
    """Columns as in the paper. Raises CorpusError for a corpus without annotators."""
    output.require_annotators(corpus, "table 5")
    broken = {problem.utterance for problem in corpus.problems}
    usable = [u for u in corpus.utterances if u.votes and all(u.votes) and u.name not in broken]
    by_name = {u.name: u for u in usable}
    chosen = [by_name[name] for name in PAPER if name in by_name] if output.is_iemocap(corpus) else []
    if chosen:
        notes = _compare_with_paper(chosen, corpus.classes)
    else:
        chosen, notes = _examples(usable, corpus.classes)
    annotators = max((len(u.votes) for u in chosen), default=0)
    columns = ("utterance", "true", *(f"ann. {n}" for n in range(1, annotators + 1)))
    made = Table(
        f"Table 5: soft labels and weights of some utterances, {output.corpus_name(corpus)}",
        (*columns, "hard label", "soft label", "weight", "subset"),
        [_row(u, corpus.classes, annotators) for u in chosen],
        (
            f"hard and soft label: {', '.join(corpus.classes)}, in this order",
            "ann.: annotator; una: unanimous, amb: ambiguous; oth: outside the classes, or other",
            *notes,
            *output.corpus_notes(corpus),
        ),
    )
    return Output({"table5": made})


def _examples(usable: Sequence[Utterance], classes: Sequence[str]) -> tuple[list[Utterance], list[str]]:
    """The first utterance of each kind, and notes about them."""
    first: dict[str | None, Utterance] = {}
    for u in usable:
        first.setdefault(kind(u.votes, classes[u.label], classes), u)
    found = [name for name in KINDS if name in first]
    notes = [f"{first[name].name}: {name}" for name in found]
    return [first[name] for name in found], notes + [
        f"no utterance where {name}" for name in KINDS if name not in first
    ]


def _compare_with_paper(chosen: Sequence[Utterance], classes: Sequence[str]) -> list[str]:
    missing = [name for name in PAPER if name not in {u.name for u in chosen}]
    notes = [f"the paper's examples that this corpus lacks: {', '.join(missing)}"] if missing else []
    if tuple(classes) != CLASSES:
        return [*notes, "the paper's utterances, but not its classes"]
    different = [u.name for u in chosen if _row(u, classes, 0)[3:] != PAPER[u.name]]
    result = f"differ from the paper: {', '.join(different)}" if different else "equal the paper's"
    return [*notes, f"soft labels, weights and subsets {result}"]


def _row(u: Utterance, classes: Sequence[str], annotators: int) -> tuple[str, ...]:
    """The cells of an utterance, with `annotators` columns for the annotators' choices."""
    label = classes[u.label]
    soft, weight = soft_label(u.votes, classes)
    rounded = [f"{round(float(value), 2):g}" for value in (*soft, weight)]  # at most two digits, as in the paper
    choices = [", ".join(_code(word, classes) for word in vote) for vote in u.votes]
    return (
        u.name,
        _code(label, classes),
        *(choices + ["-"] * annotators)[:annotators],
        " ".join(str(int(name == label)) for name in classes),
        " ".join(rounded[:-1]),
        rounded[-1],
        "una" if unanimous(u.votes, label) else "amb",
    )


def _code(word: str, classes: Sequence[str]) -> str:
    return CODE_OF.get(word, word) if word in classes else "oth"
