"""Readers: one for each kind of corpus. Each returns the same table of utterances (corpus/table.py).

iemocap          the IEMOCAP release: label files, annotators, sessions
expected_counts  how many utterances a complete release has
emodb            EmoDB: everything is in the file names
csv_manifest     a CSV file of your own
labels           label words and three-letter codes
"""
