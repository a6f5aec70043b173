"""Settings that were chosen on some speakers of a corpus, and what that means for a run with them.

`python -m scratchser.paper tune` writes them as tuned.json; cv and the paper's commands take them by --tuned. The
speakers who chose are told apart in every result, since their scores were looked at before: a headline is that of the
others.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scratchser.corpus.table import Corpus
from scratchser.presets import TUNED_ON
from scratchser.runs.folder import RunError
from scratchser.support.files import write_json

KINDS = {"preset": str, "settings": list, "speakers": list, "tried": int, "ua": float, "fingerprint": str}


@dataclass(frozen=True)
class TunedSettings:
    """The choice.

    preset        what the settings are a change of
    settings      key=value, as --set takes them; none where nothing beat the preset
    speakers      by whose test scores it was made
    tried         how many candidates there were, the unchanged settings included
    ua            the chosen one's UA, mean over these speakers: the largest of `tried`, so too good by the choice
    fingerprint   of the corpus
    """

    preset: str
    settings: tuple[str, ...]
    speakers: tuple[str, ...]
    tried: int
    ua: float
    fingerprint: str

    @staticmethod
    def read(path: Path) -> TunedSettings:
        """Raises RunError where the file is not there or holds something else."""
        if not path.exists():
            raise RunError(f"--tuned {path}: there is no such file; python -m scratchser.paper tune writes one")
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, IsADirectoryError):  # not JSON, or not even text
            found = None
        right = isinstance(found, dict) and {key: type(value) for key, value in found.items()} == KINDS
        if not right or not all(isinstance(word, str) for word in [*found["settings"], *found["speakers"]]):
            raise RunError(f"--tuned {path} is no file of python -m scratchser.paper tune: name its tuned.json")
        return TunedSettings(**{**found, "settings": tuple(found["settings"]), "speakers": tuple(found["speakers"])})

    def write(self, path: Path) -> None:
        write_json(path, self)

    def check(self, data: Corpus) -> None:
        """Raises RunError for another corpus: its speakers would be taken for those who chose."""
        if data.fingerprint() != self.fingerprint:
            raise RunError(
                "--tuned: these settings were chosen on other utterances, so who chose them cannot be told apart here"
            )

    def sentence(self) -> str:
        """For a reader of the figures."""
        chosen = ", ".join(self.settings) or f"the preset {self.preset} as it is"
        return (
            f"settings chosen among {self.tried} by the test UA of the speakers {', '.join(self.speakers)}: {chosen};"
            " the headline leaves these speakers out"
        )


def tuned_on(data: Corpus, settings: dict[str, Any]) -> tuple[str, ...]:
    """The speakers by whom settings were chosen, by us for the presets or by the user; `settings` as in config.json."""
    return tuple(dict.fromkeys([*TUNED_ON.get(data.name, ()), *(settings.get("tuned") or {}).get("speakers", ())]))
