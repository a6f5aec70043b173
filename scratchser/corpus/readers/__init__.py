"""A reader for each kind of corpus on disk. All return the same table of utterances (corpus/table.py).

iemocap          the IEMOCAP release: label files, annotators, sessions
expected_counts  the counts of a complete IEMOCAP release
emodb            EmoDB, which has everything in the file names
csv_manifest     your own corpus, described by a CSV file
rows             the utterances and problems that a reader has found so far
labels           label words and three-letter codes
"""
