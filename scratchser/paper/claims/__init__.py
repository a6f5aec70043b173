"""The claims of the paper, tested on synthetic corpora where the true effect is known.

Each result is a mean over corpora that share no voice and no sound, never over seeds of one corpus. Each claim has a
null: the same procedure where the true difference is 0 by construction, so that its interval should cover 0.
docs/claims.md describes the design and the results.
"""
