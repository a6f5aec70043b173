"""A reader for each kind of corpus on disk. All return the same table of utterances (corpus/table.py)."""
