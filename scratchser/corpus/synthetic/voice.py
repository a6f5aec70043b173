"""The synthesiser: one utterance of source-filter speech without words.

    source   glottal pulses with all harmonics below 7.8 kHz (so there is no aliasing), and breath noise, tilted
    filter   a cascade of resonators, F1 ..., that move from vowel to vowel
    noise    fricatives and bursts, which are not filtered

The speaker has a vocal-tract length and a usual pitch; the expression is how the voice moves. Level, duration and mean
pitch are separate arguments, so that they can be independent of the expression. docs/synthetic.md lists the sources.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scratchser.kernels.machine.compile import jit

RATE = 16_000  # Hz
STEP = 80  # samples of a control step, 5 ms
TOP = 7800.0  # Hz, upper limit of harmonics and formants
SOUND_CM_PER_S = 35_000.0  # speed of sound in warm, moist air
TRACT_CM = 17.5  # the vocal-tract length of VOWELS

# fmt: off
VOWELS = np.array([  # F1, F2, F3 in Hz of: heed, hid, head, had, hod; hawed, hood, who'd, hud, heard
    (270, 2290, 3010), (390, 1990, 2550), (530, 1840, 2480), (660, 1720, 2410), (730, 1090, 2440),
    (570, 840, 2410), (440, 1020, 2240), (300, 870, 2240), (640, 1190, 2390), (490, 1350, 1690),
], dtype=float)
# fmt: on
CLOSED = np.array((260.0, 1300.0, 2400.0))  # a mouth closed for a sonorant
ONSETS = {"": (0.15, 0.0), "hiss": (0.25, 0.09), "stop": (0.25, 0.06), "sonorant": (0.35, 0.06)}  # probability, seconds
HISSES = ((2500.0, 6500.0), (1800.0, 4500.0), (800.0, 7000.0))  # Hz: in the manner of s, of sh, of f and of bursts
BURST = 2


@dataclass(frozen=True)
class Voice:
    """What stays the same in all utterances of a speaker."""

    tract_cm: float  # vocal-tract length
    pitch_hz: float  # usual pitch
    tempo: float = 1.0  # factors on the expression's values
    accent: float = 1.0
    tilt: float = 0.0  # added to the expression's value, dB per octave
    breath: float = 0.0  # added to the expression's value, dB


class Expression(NamedTuple):
    """How an utterance is spoken. Two expressions can be mixed, since all values are numbers."""

    tempo: float  # syllables per second between pauses
    pauses: float  # pauses per syllable
    accent: float  # semitones, height of a pitch accent
    skew: float  # share of an accent in which pitch rises
    drift: float  # semitones per second within a phrase
    final: float  # semitones, movement of the last syllable
    contrast: float  # dB between accented and other syllables
    legato: float  # 0: the voice stops between syllables; 1: it stays equally loud
    tilt: float  # dB per octave, slope of the pulses' spectrum
    breath: float  # dB, breath noise relative to the pulses
    rough: float  # %, irregularity of the pitch; amplitude follows


def formants(vowel: np.ndarray, tract_cm: float) -> np.ndarray:
    """All formants in Hz, (..., N), of a vocal tract with the length L = tract_cm.

    `vowel` (..., 3) are F1-F3 in Hz at 17.5 cm, which are proportional to 1 / L. The formants above the third are those
    of a uniform tube, (2n - 1) c / 4L, up to 7.8 kHz.
    """
    spacing = SOUND_CM_PER_S / (2 * tract_cm)
    upper = np.arange(3.5, TOP / spacing) * spacing
    upper = np.broadcast_to(upper, (*vowel.shape[:-1], upper.size))
    return np.concatenate([vowel * (TRACT_CM / tract_cm), upper], axis=-1)


def synthesise(
    voice: Voice, expression: Expression, seconds: float, pitch_hz: float, level_db: float, rng: np.random.Generator
) -> np.ndarray:
    """(samples,) float32 in [-1, 1] at 16 kHz, on the grid of 16-bit PCM, `seconds` long to the next 5 ms.

    `pitch_hz` is the geometric mean of the pitch over the voiced steps, `level_db` the root mean square in dB of full
    scale. Equal arguments and an equal state of the generator give equal samples.
    """
    e = expression._replace(tempo=expression.tempo * voice.tempo, accent=expression.accent * voice.accent)
    time = np.arange(round(seconds * RATE / STEP)) * STEP / RATE
    syllables = _syllables(e, seconds, rng)
    gain, hisses = _gains(syllables, e, time)
    semitones = _melody(syllables, e, time)
    semitones -= semitones[gain > 0.05 * gain.max()].mean()
    tract = formants(_articulation(syllables, time), voice.tract_cm)

    source = _source(pitch_hz * 2 ** (semitones / 12), gain, e.tilt + voice.tilt, e.breath + voice.breath, e.rough, rng)
    sound = _unit(_cascade(source, tract)) + _hiss(hisses, voice.tract_cm, rng)
    room = 10 ** (rng.uniform(-48, -40) / 20) * rng.standard_normal(sound.size)
    sound = _unit(_unit(sound) + room) * 10 ** (level_db / 20)
    return (np.clip(np.round(sound * 32768), -32768, 32767) / 32768).astype(np.float32)


# The movements of the voice and the articulators, one value every 5 ms


class _Syllable(NamedTuple):
    start: float  # seconds
    voiced: float  # start of its vowel
    end: float
    phrase: float  # start of its phrase, after the last pause
    onset: str  # a key of ONSETS
    band: int  # of the onset's noise
    vowel: np.ndarray  # F1-F3
    accent: float  # 0 = none, else about 1
    last: bool


def _syllables(e: Expression, seconds: float, rng: np.random.Generator) -> list[_Syllable]:
    begin, rest = rng.uniform(0.03, 0.12, 2)
    speech = seconds - begin - rest
    count = max(2, round(speech * e.tempo / (1 + 0.2 * e.pauses * e.tempo)))
    accents = np.where(rng.random(count) < 0.45, rng.uniform(0.8, 1.2, count), 0.0)
    accents[rng.integers(count)] = 1.0
    pauses = np.where(rng.random(count) < e.pauses, rng.uniform(0.12, 0.28, count), 0.0)
    pauses[0] = 0.0
    pauses *= min(1.0, speech / 2 / max(pauses.sum(), 1e-9))
    lengths = rng.uniform(0.8, 1.2, count) * np.where(accents > 0, 1.2, 1.0)
    lengths[-1] *= 1.3  # final lengthening
    lengths *= (speech - pauses.sum()) / lengths.sum()
    onsets = rng.choice(list(ONSETS), count, p=[probability for probability, _ in ONSETS.values()])
    starts = begin + np.cumsum(pauses) + np.cumsum(lengths) - lengths
    phrases = np.maximum.accumulate(np.where(pauses > 0, starts, starts[0]))
    result = []
    for i in range(count):
        onset = str(onsets[i])
        voiced = starts[i] + ONSETS[onset][1] * min(1.0, lengths[i] / 0.2)
        band = BURST if onset == "stop" else int(rng.integers(len(HISSES)))
        vowel = VOWELS[rng.integers(len(VOWELS))]
        span = (starts[i], voiced, starts[i] + lengths[i], phrases[i])
        result.append(_Syllable(*span, onset, band, vowel, accents[i], i == count - 1))
    return result


def _gains(syllables: list[_Syllable], e: Expression, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Amplitude of the voice, (steps,), and of the noises, (3, steps)."""
    voice, hisses = np.zeros(time.size), np.zeros((len(HISSES), time.size))
    for s in syllables:
        loud = 1.0 if s.accent else 10 ** (-e.contrast / 20)
        onset, vowel = (time >= s.start) & (time < s.voiced), (time >= s.voiced) & (time < s.end)
        arch = np.sin(np.pi * (time[vowel] - s.voiced) / (s.end - s.voiced)) ** 0.7
        voice[vowel] = loud * (e.legato + (1 - e.legato) * arch)
        if s.onset == "sonorant":
            voice[onset] = 0.35 * loud
        elif s.onset == "hiss":
            hisses[s.band, onset] = 0.5 * loud
        elif s.onset == "stop":
            hisses[s.band, onset & (time >= s.voiced - 0.015)] = 0.8 * loud
    return _smooth(voice, 5), np.stack([_smooth(hiss, 3) for hiss in hisses])


def _melody(syllables: list[_Syllable], e: Expression, time: np.ndarray) -> np.ndarray:
    """Relative pitch in semitones, (steps,): drift of the phrases, accents, and a final movement."""
    semitones = np.zeros(time.size)
    for s in syllables:
        span = (time >= s.start) & (time < s.end)
        position = (time - s.start) / (1.3 * (s.end - s.start))  # an accent is longer than its syllable
        peak = np.clip(np.minimum(position / e.skew, (1 - position) / (1 - e.skew)), 0, 1)
        semitones += e.accent * s.accent * peak
        semitones[span] += e.drift * (time[span] - s.phrase)
        if s.last:
            semitones[span] += e.final * (time[span] - s.start) / (s.end - s.start)
    return _smooth(semitones, 9)


def _articulation(syllables: list[_Syllable], time: np.ndarray) -> np.ndarray:
    """F1-F3 in Hz at 17.5 cm, (steps, 3), smoothed between the vowels."""
    tract = np.tile(syllables[0].vowel, (time.size, 1))
    for s in syllables:
        tract[time >= s.start] = CLOSED if s.onset == "sonorant" else s.vowel
        tract[time >= s.voiced] = s.vowel
    return np.stack([_smooth(track, 13) for track in tract.T], axis=1)


def _smooth(track: np.ndarray, width: int) -> np.ndarray:
    window = np.hanning(width + 2)[1:-1]
    return np.convolve(np.pad(track, width // 2, mode="edge"), window / window.sum(), mode="valid")


# The sound


def _source(
    pitch: np.ndarray, gain: np.ndarray, tilt: float, breath: float, rough: float, rng: np.random.Generator
) -> np.ndarray:
    """Pulses and breath, (samples,), from the pitch in Hz and the amplitude, (steps,) each."""
    wobble = 0.01 * rough * rng.standard_normal((2, pitch.size))
    pitch = _every_sample(pitch * (1 + wobble[0]))
    gain = _every_sample(gain * (1 + wobble[1]) ** 4)
    phase = 2 * np.pi * np.cumsum(pitch / RATE)
    noise = (1 + 0.5 * np.cos(phase)) * rng.standard_normal(phase.size)  # breath pulses with the voice
    return gain * (_unit(_tilted(_pulses(phase, pitch), tilt)) + 10 ** (breath / 20) * _tilted(noise, -3.0))


def _pulses(phase: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Σ_k cos(k φ), k = 1 ... K, with K pitch <= 7.8 kHz, which is sin(K φ/2) cos((K+1) φ/2) / sin(φ/2)."""
    K, half = np.floor(TOP / pitch), phase / 2
    below = np.sin(half)
    peak = np.abs(below) < 1e-6
    return np.where(peak, K, np.sin(K * half) * np.cos((K + 1) * half) / np.where(peak, 1.0, below))


def _tilted(sound: np.ndarray, db_per_octave: float) -> np.ndarray:
    """A fractional integrator (i f)^-p with gain 1 at 200 Hz, -6.02 p dB per octave, and a cut below 60 Hz."""
    p = -db_per_octave / (20 * np.log10(2))
    spectrum, frequency = np.fft.rfft(sound), np.fft.rfftfreq(sound.size, 1 / RATE)
    audible = frequency >= 60
    spectrum[~audible] = 0
    spectrum[audible] *= (1j * frequency[audible] / 200) ** -p
    return np.fft.irfft(spectrum, sound.size)


def _cascade(sound: np.ndarray, tracks: np.ndarray) -> np.ndarray:
    """Resonators in series with the formants (steps, N), each with gain 1 at 0 Hz."""
    bandwidth = np.maximum(50 + 0.03 * tracks, 60)
    radius = np.exp(-np.pi * bandwidth / RATE)
    return _resonate(sound, 2 * radius * np.cos(2 * np.pi * tracks / RATE), -(radius**2))


@jit
def _resonate(sound, B, C):
    """y[t] = (1 - B - C) x[t] + B y[t-1] + C y[t-2], column after column. A row of B and C is used for STEP samples."""
    out = sound.copy()
    for n in range(B.shape[1]):
        before = beforelast = 0.0
        for t in range(out.size):
            b, c = B[t // STEP, n], C[t // STEP, n]
            y = (1.0 - b - c) * out[t] + b * before + c * beforelast
            beforelast, before = before, y
            out[t] = y
    return out


def _hiss(gains: np.ndarray, tract_cm: float, rng: np.random.Generator) -> np.ndarray:
    """Noise in the bands HISSES with the amplitudes (3, steps). A shorter tract gives higher bands."""
    total = np.zeros(gains.shape[1] * STEP)
    frequency = np.maximum(np.fft.rfftfreq(total.size, 1 / RATE), 1.0)
    for gain, (low, high) in zip(gains, HISSES, strict=True):
        noise = rng.standard_normal(total.size)
        if gain.any():
            stretch = min(TRACT_CM / tract_cm, TOP / high)
            halves = 2 * np.log2(frequency / (stretch * np.sqrt(low * high))) / np.log2(high / low)
            band = np.fft.irfft(np.fft.rfft(noise) * np.exp(-(halves**2)), total.size)
            total += _every_sample(gain) * _unit(band)
    return total


def _every_sample(track: np.ndarray) -> np.ndarray:
    """Interpolates a track (steps,), given at the middle of each step, to all samples."""
    return np.interp(np.arange(track.size * STEP), (np.arange(track.size) + 0.5) * STEP, track)


def _unit(sound: np.ndarray) -> np.ndarray:
    return sound / max(np.sqrt(np.mean(sound**2)), 1e-9)
