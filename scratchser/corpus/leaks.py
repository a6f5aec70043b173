"""What would let a voice train and be tested at once: duplicate recordings, speakers with two names."""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import TypeVar

from scratchser.corpus.table import Corpus, Problem, natural

NO_NAMES = ("nan", "none", "null", "n/a", "<na>", "unknown")  # what programs write for a missing value
T = TypeVar("T")


def repeated(corpus: Corpus) -> tuple[list[Problem], list[Path]]:
    """Finds sound files with equal bytes. Only files of equal size are read; all must exist.

    Returns
    -------
    problems : one for each utterance whose file, or a copy of it, another utterance has too. Both are left out.
    copies : files that are copies of another one, but with the same speaker and label, so that no fold separates them
    """
    problems, harmless = [], []
    utterances = [(u, u.path) for u in corpus.utterances if u.path is not None]
    for same_size in _groups(utterances, lambda pair: pair[1].stat().st_size):
        for copies in _groups(same_size, lambda pair: _digest(pair[1])):
            files = {(path.stat().st_dev, path.stat().st_ino) for _, path in copies}
            if len(files) == len(copies) and len({(u.speaker, u.label) for u, _ in copies}) == 1:
                harmless += [path for _, path in copies]
                continue
            for utterance, path in copies:
                other, other_path = copies[0] if utterance is not copies[0][0] else copies[1]
                what = f"the same recording twice: {path}, also {other.source or other_path}; keep one"
                problems.append(Problem(utterance.source or str(path), what, utterance.name))
    return problems, harmless


def similar_names(corpus: Corpus) -> tuple[str, ...]:
    """A sentence for speakers, and one for sessions, whose names may mean the same, and one for names like "nan"."""
    warnings = []
    for what, names in (("speaker", corpus.speakers), ("session", {u.session for u in corpus.utterances})):
        groups = _groups(sorted(names, key=natural), _spelling)
        if groups:
            found = ", ".join(" = ".join(map(_visible, group)) for group in groups[:5]) + ", ..." * (len(groups) > 5)
            advice = f"write each {what} in one way, or the same voice trains and is tested"
            warnings.append(f"different names that may mean one {what}: {found}; {advice}")
        warnings += [f"{what} {name!r}: is it a missing value?" for name in names if name.lower() in NO_NAMES]
    return tuple(warnings)


def _groups(items: Iterable[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    """The items that share their key with another one."""
    groups = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return [group for group in groups.values() if len(group) > 1]


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _spelling(name: str) -> str:
    """Equal for names that differ only in case, Unicode form, spaces, invisible characters or the form of a number."""
    text = unicodedata.normalize("NFKC", name).casefold()
    text = "".join(c for c in text if not c.isspace() and unicodedata.category(c) != "Cf")
    text = re.sub(r"(?<![\d.])0+(?=\d)", "", text)  # 01
    return re.sub(r"(?<=\d)\.0+$", "", text)  # 1.0


def _visible(name: str) -> str:
    """The name in quotes; one that looks like another one, with its special characters as numbers."""
    return repr(name) if name.isascii() or name == unicodedata.normalize("NFC", name) else ascii(name)
