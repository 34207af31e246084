"""What tests say and show, and how they recognise it."""

import wave

import numpy as np

RATE = 48_000


def tone(hertz: float, start: int, samples: int) -> np.ndarray:
    """A sine at a quarter of full scale from a sample number on, so that consecutive pieces fit."""
    at = (start + np.arange(samples)) / RATE
    return (0.25 * 32767 * np.sin(2 * np.pi * hertz * at)).astype(np.int16)


def wav(path: str) -> tuple[int, np.ndarray]:
    """Rate and samples of a 16-bit mono WAV file."""
    with wave.open(path) as file:
        assert file.getsampwidth() == 2 and file.getnchannels() == 1
        return file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)


class Ear:
    """The last second of somebody's sound, 16-bit mono at 48 kHz."""

    def __init__(self) -> None:
        self.frames = 0
        self.last = np.zeros(0)

    def hear(self, samples: np.ndarray) -> None:
        self.frames += 1
        self.last = np.concatenate([self.last, samples / 32768.0])[-RATE:]

    def report(self) -> dict[str, float]:
        """Frames so far, the level in dBFS, the loudest frequency, and its share of all power."""
        if len(self.last) < RATE:
            return {"frames": self.frames}
        power = np.abs(np.fft.rfft(self.last * np.hanning(RATE))) ** 2
        peak = int(power[20:].argmax()) + 20
        level = 20 * np.log10(np.sqrt((self.last**2).mean()) + 1e-9)
        share = power[peak - 3 : peak + 4].sum() / (power.sum() + 1e-12)
        return {"frames": self.frames, "level": float(level), "hertz": peak, "share": float(share)}
