"""Tables 1 to 6 of the paper, and three comparisons that its text describes: depth, pooling and normalisation.

A module has `build(...) -> Output`. A table of trained models also has VARIANTS, the runs that it needs, and may have
`check_corpus(corpus)`, which refuses an unsuitable corpus before anything is trained.
"""
