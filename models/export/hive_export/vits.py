"""VITS checkpoints of the `VitsModel` layout: MMS-TTS, and those converted from the original code."""

import math

from .checkpoint import Checkpoint
from .errors import ExportError
from .vits_decoder import decoder_graph
from .vits_text import text_graph


class Vits:
    """A VITS checkpoint, of one speaker or several."""

    family = "vits"

    def __init__(self, directory):
        c = self.checkpoint = Checkpoint(directory, "vits", "VITS")
        self.speakers = int(c.config.get("num_speakers") or 1)
        self.multispeaker = self.speakers > 1
        if self.multispeaker and not c.config.get("speaker_embedding_size"):
            raise ExportError(
                c.path("config.json"),
                f"has {self.speakers} speakers and no speaker_embedding_size",
                "it was cut short: download it again",
            )
        self.stochastic = c.config.get("use_stochastic_duration_prediction", True)
        if c.config.get("depth_separable_channels", 2) != 2:
            raise ExportError(
                c.path("config.json"),
                f"has depth_separable_channels = {c.config['depth_separable_channels']}",
                "the exporter knows the two channels of the published models only",
            )
        self.vocabulary = c.json("vocab.json")
        self.tokenizer = c.optional_json("tokenizer_config.json")
        beyond = [symbol for symbol, i in self.vocabulary.items() if not 0 <= i < c.setting("vocab_size")]
        if beyond:
            raise ExportError(
                c.path("vocab.json"),
                f"gives {beyond[0]!r} an id outside of the {c.setting('vocab_size')} that config.json names",
                "it belongs to another model: copy the one that came with the weights",
            )

    def graphs(self) -> dict:
        """The graphs by file name."""
        return {
            "text.onnx": text_graph(self.checkpoint, self.multispeaker, self.stochastic),
            "decoder.onnx": decoder_graph(self.checkpoint, self.multispeaker),
        }

    def _phonemes(self) -> dict:
        """How text becomes ids, as the checkpoint's tokenizer does it."""
        t = self.tokenizer
        pad = next((symbol for symbol, i in self.vocabulary.items() if i == 0), None)
        shared = {"vocab": self.vocabulary, "add_blank": bool(t.get("add_blank", True)), "blank": 0, "pad": pad}
        if t.get("phonemize", False):
            return {"kind": "espeak", "voice": "en-us", "lower": bool(t.get("normalize", True)), **shared}
        return {
            "kind": "characters",
            "lower": bool(t.get("normalize", True)),
            "romanise": bool(t.get("is_uroman", False)),
            "language": t.get("language"),
            **shared,
        }

    def config(self) -> dict:
        """`config` of the manifest."""
        c = self.checkpoint
        return {
            "sample_rate": c.setting("sampling_rate"),
            "hop": math.prod(c.setting("upsample_rates")),
            "channels": c.setting("flow_size"),
            "vocab_size": c.setting("vocab_size"),
            "noise_scale": c.config.get("noise_scale", 0.667),
            "noise_scale_duration": c.config.get("noise_scale_duration", 0.8),
            "speaking_rate": c.config.get("speaking_rate", 1.0),
            "num_speakers": self.speakers,
            "stochastic_durations": bool(self.stochastic),
            "phonemes": self._phonemes(),
        }

    def languages(self, options) -> dict:
        """What the manifest says of languages."""
        language = options.language or self.tokenizer.get("language")
        if not language:
            raise ExportError(
                self.checkpoint.path("tokenizer_config.json"),
                "names no language",
                "say which with --language, for example --language es",
            )
        return {"languages": [language]}

    def files(self) -> dict:
        """Files copied beside the graphs: contents by name."""
        return {"vocab.json": self.checkpoint.path("vocab.json").read_bytes()}
