"""Settings that `python -m scratchser.paper tune` selected on some speakers of a corpus: its file tuned.json.

cv and paper take them with --tuned. The scores of these speakers selected the settings, so every result also shows the
means over the untuned speakers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from scratchser.corpus.table import Corpus
from scratchser.presets import TUNED_ON
from scratchser.runs.folder import RunError
from scratchser.support.files import write_json


@dataclass(frozen=True)
class TunedSettings:
    """The selected settings.

    preset        the preset that the settings change
    settings      key=value, as --set takes them; empty if no candidate was better than the preset
    speakers      the speakers whose scores selected them
    tried         number of candidates, the unchanged preset included
    ua            mean UA of the selected settings over these speakers: the largest of `tried`, so biased
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
        """Raises RunError if the file is missing or holds anything else."""
        try:
            return TypeAdapter(TunedSettings).validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise RunError(
                f"--tuned {path}: missing, or not a tuned.json of python -m scratchser.paper tune"
            ) from error

    def write(self, path: Path) -> None:
        write_json(path, self)

    def check(self, corpus: Corpus) -> None:
        """Raises RunError for another corpus: its speakers are others, even if they have the same names."""
        if corpus.fingerprint() != self.fingerprint:
            raise RunError("--tuned: these settings were tuned on other utterances than those of this corpus")

    def sentence(self) -> str:
        """For a reader of the results."""
        settings = ", ".join(self.settings) or f"the unchanged preset {self.preset}"
        return (
            f"settings selected among {self.tried} by the test UA of the speakers {', '.join(self.speakers)}:"
            f" {settings}; the means over the untuned speakers leave these speakers out"
        )


def tuned_on(corpus: Corpus, settings: dict[str, Any]) -> tuple[str, ...]:
    """The speakers that the preset or --tuned was tuned on; `settings` as in config.json."""
    return tuple(dict.fromkeys([*TUNED_ON.get(corpus.name, ()), *(settings.get("tuned") or {}).get("speakers", ())]))
