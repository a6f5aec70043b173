"""The counts of a complete IEMOCAP release with the paper's four classes.

Improvised dialogs: counted in the label files, equal to those in the paper. All dialogs: the totals in the literature,
4490 utterances, or 5531 with excited counted as happiness.
"""

from collections import Counter
from collections.abc import Sequence

from scratchser.corpus.table import CLASSES, ExpectedCount, Utterance
from scratchser.corpus.votes import unanimous

SCENES = [f"impro{n:02d}" for n in range(1, 9)]
SCENES += [f"script0{part}" for part in ("1_1", "1_2", "1_3", "2_1", "2_2", "3_1", "3_2")]
DIALOGS = (  # the label files of a complete release, 80 of them improvised dialogs
    {f"Ses0{session}{gender}_{scene}" for session in "12345" for gender in "FM" for scene in SCENES}
    - {"Ses01F_impro08", "Ses01M_impro08", "Ses03M_impro05", "Ses03M_impro08"}
) | {"Ses03M_impro05a", "Ses03M_impro05b", "Ses03M_impro08a", "Ses03M_impro08b", "Ses05M_script01_1b"}

IMPROVISED = (1099, 284, 608, 289)  # in the order of CLASSES
IMPROVISED_UNANIMOUS = (331, 51, 312, 138)
IMPROVISED_SPEAKERS = {
    "1F": (119, 18, 43, 37),
    "1M": (104, 15, 61, 25),
    "2F": (90, 25, 63, 7),
    "2M": (127, 29, 37, 15),
    "3F": (95, 39, 108, 22),
    "3M": (103, 21, 82, 68),
    "4F": (51, 10, 41, 47),
    "4M": (123, 21, 40, 37),
    "5F": (151, 56, 73, 18),
    "5M": (136, 50, 60, 13),
}
EVERYTHING = (1708, 595, 1084, 1103)
EVERYTHING_MERGED = (1708, 1636, 1084, 1103)


def compare(utterances: Sequence[Utterance], scripted: bool, merge_excited: bool) -> tuple[ExpectedCount, ...]:
    """Found and expected counts of the utterances of a complete release; empty if no counts are known."""
    labels = Counter(CLASSES[u.label] for u in utterances)
    if scripted:
        return _compare("", labels, EVERYTHING_MERGED if merge_excited else EVERYTHING)
    if merge_excited:
        return ()
    agreed = Counter(CLASSES[u.label] for u in utterances if u.votes and unanimous(u.votes, CLASSES[u.label]))
    counts = _compare("", labels, IMPROVISED) + _compare("unanimous ", agreed, IMPROVISED_UNANIMOUS)
    for speaker, expected in IMPROVISED_SPEAKERS.items():
        found = Counter(CLASSES[u.label] for u in utterances if u.speaker == speaker)
        counts += _compare(f"speaker {speaker} ", found, expected)
    return counts


def _compare(prefix: str, found: Counter[str], expected: Sequence[int]) -> tuple[ExpectedCount, ...]:
    counts = [ExpectedCount(prefix + name, found[name], n) for name, n in zip(CLASSES, expected, strict=True)]
    return (*counts, ExpectedCount(f"{prefix}all", found.total(), sum(expected)))
