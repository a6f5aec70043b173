"""Vocal tracts of different lengths, and what warping the training speech (VTLP, section 2) buys on unseen speakers.

    wide     lengths twice as far apart as in the built-in corpus, 12 to 20 cm
    equal    the same speakers with tracts of one length; the warp can still help, as noise that keeps the network from
             learning by heart, so nothing says that its true effect is 0 here
    single   the same training as "with", but the test hears each utterance once: what the vote is worth alone
    null     with a warp against with a warp, from another seed: both numbers come from one distribution

"With" is the paper's second strategy, a warp for each utterance and epoch and the vote of eleven copies at the test.
"""

from dataclasses import replace

from scratchser.paper.claims.claim import SMALL, Arm, Claim, Corpus, Number, difference
from scratchser.paper.claims.corpora import World

WIDE, EQUAL = World(tract_spread=2.0), World(tract_spread=0.0)
WARPED = replace(SMALL, vtlp="utterance")
SINGLE = replace(WARPED, tta_copies=1)


def arms(seed: int) -> dict[str, Arm]:
    return {
        "wide": Arm(WIDE, SMALL),
        "wide-vtlp": Arm(WIDE, WARPED),
        "wide-vtlp-single": Arm(WIDE, SINGLE),
        "wide-vtlp-again": Arm(WIDE, WARPED, again=True),
        "equal": Arm(EQUAL, SMALL),
        "equal-vtlp": Arm(EQUAL, WARPED),
    }


def _gain(corpus: Corpus) -> float:
    """What the warp buys more where the lengths differ; the other things that it does are in both."""
    return difference("wide-vtlp", "wide")(corpus) - difference("equal-vtlp", "equal")(corpus)


CLAIM = Claim(
    name="vtlp",
    says="Warped copies make up for vocal tracts of different lengths",
    first=110_000,
    arms=arms,
    numbers=(
        Number("effect", "with warps - without, lengths spread wide", difference("wide-vtlp", "wide")),
        Number("contrast", "the same, all lengths equal", difference("equal-vtlp", "equal")),
        Number("contrast", "spread wide - equal, of these two", _gain),
        Number("contrast", "vote of eleven - a single pass, spread wide", difference("wide-vtlp", "wide-vtlp-single")),
        Number("null", "with warps - with warps, another seed", difference("wide-vtlp", "wide-vtlp-again")),
    ),
)
