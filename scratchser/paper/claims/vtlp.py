"""VTLP makes up for vocal tracts of different lengths (section 2): the UA on unseen speakers with and without it.

wide     lengths twice as far apart as in the built-in corpus, 12 to 20 cm
equal    the same speakers with equal lengths. VTLP can still help there as a regulariser, so this is no null
single   trained like "with", but tested without TTA: the difference is the effect of the vote
null     with VTLP against with VTLP and another seed: both values have the same distribution

"With" is the paper's second strategy: a warp for each utterance and epoch, and TTA with 11 copies.
"""

from dataclasses import replace

from scratchser.paper.claims.claim import SMALL, Arm, Claim, Difference, Trial, difference
from scratchser.paper.claims.corpora import CorpusSpec

WIDE, EQUAL = CorpusSpec(tract_spread=2.0), CorpusSpec(tract_spread=0.0)
WARPED = replace(SMALL, vtlp="utterance")
SINGLE = replace(WARPED, tta_copies=1)


def arms(seed: int) -> dict[str, Arm]:
    return {
        "wide": Arm(WIDE, SMALL),
        "wide-vtlp": Arm(WIDE, WARPED),
        "wide-vtlp-single": Arm(WIDE, SINGLE),
        "wide-vtlp-again": Arm(WIDE, WARPED, other_seed=True),
        "equal": Arm(EQUAL, SMALL),
        "equal-vtlp": Arm(EQUAL, WARPED),
    }


def _gain_from_lengths(trial: Trial) -> float:
    """How much more VTLP gains if the lengths differ; its other effects cancel."""
    return difference("wide-vtlp", "wide")(trial) - difference("equal-vtlp", "equal")(trial)


CLAIM = Claim(
    name="vtlp",
    first_seed=110_000,
    arms=arms,
    differences=(
        Difference("effect", "with VTLP - without, lengths spread wide", difference("wide-vtlp", "wide")),
        Difference("contrast", "the same, all lengths equal", difference("equal-vtlp", "equal")),
        Difference("contrast", "spread wide - equal, of these two", _gain_from_lengths),
        Difference("contrast", "TTA - a single pass, spread wide", difference("wide-vtlp", "wide-vtlp-single")),
        Difference("null", "with VTLP - with VTLP, another seed", difference("wide-vtlp", "wide-vtlp-again")),
    ),
)
