"""Piper voices: one finished ONNX graph and its JSON, taken as they are.

A voice is published without the weights' names that a split would need, so it cannot be turned into
`text.onnx` and `decoder.onnx`: its graph stays whole, with sampling and durations inside. Whether a
backend runs it depends on the operators in it; the manifest lists those that tract 0.23 does not run.
"""

import json
from pathlib import Path

import onnx

from .errors import ExportError

#: What Piper's graph is called here.
VOICE = "voice.onnx"
_INPUTS = ("input", "input_lengths", "scales")
#: Every Piper generator multiplies a frame by this.
_HOP = 256


class Piper:
    """A Piper voice: NAME.onnx with NAME.onnx.json, alone in a directory or named itself."""

    family = "vits"

    def __init__(self, path):
        path = Path(path)
        if path.is_dir():
            voices = sorted(path.glob("*.onnx"))
            if len(voices) != 1:
                raise ExportError(
                    path, f"holds {len(voices)} .onnx files where a voice has one", "name the voice's .onnx file itself"
                )
            path = voices[0]
        if not path.is_file():
            raise ExportError(path, "is missing", "name a Piper voice's .onnx file or the directory that holds it")
        self.path = path
        self.settings = self._settings(path.with_name(path.name + ".json"))
        self.speakers = int(self.settings.get("num_speakers") or 1)
        self.model = self._model()

    @staticmethod
    def _settings(path: Path) -> dict:
        if not path.is_file():
            raise ExportError(path, "is missing", "it is half of the voice: copy it from where the .onnx comes from")
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
            for keys in (("audio", "sample_rate"), ("phoneme_id_map",)):
                value = settings
                for key in keys:
                    value = value[key]
        except (ValueError, KeyError, TypeError) as error:
            raise ExportError(
                path, f"is not a Piper voice's configuration ({error!r})", "download it again"
            ) from error
        return settings

    def _model(self) -> onnx.ModelProto:
        try:
            model = onnx.load(str(self.path))
            onnx.checker.check_model(model)
        except Exception as error:  # protobuf's and onnx's errors share no base
            raise ExportError(self.path, f"is not an ONNX graph ({error})", "download it again") from error
        found = [value.name for value in model.graph.input]
        wanted = list(_INPUTS) + (["sid"] if self.speakers > 1 else [])
        if sorted(found) != sorted(wanted):
            raise ExportError(
                self.path,
                f"has the inputs {', '.join(found)} where a Piper voice of {self.speakers} speakers has {', '.join(wanted)}",
                "it is not a Piper voice, or not the one of this .onnx.json",
            )
        return model

    def operators(self) -> list:
        """The operators in the graph that tract does not run, or not with lengths that depend on data."""
        doubtful = {"NonZero", "ScatterND", "RandomNormalLike", "RandomNormal", "If", "Loop", "Range", "CumSum"}
        return sorted({node.op_type for node in self.model.graph.node} & doubtful)

    def config(self) -> dict:
        """`config` of the manifest."""
        s = self.settings
        inference = s.get("inference", {})
        kind = s.get("phoneme_type", "espeak")
        if kind not in ("espeak", "text"):
            raise ExportError(
                self.path.with_name(self.path.name + ".json"),
                f"has phoneme_type = {kind!r}",
                "HIVE makes phonemes with eSpeak NG (espeak) or takes characters (text)",
            )
        return {
            "layout": "piper",
            "sample_rate": s["audio"]["sample_rate"],
            "hop": int(s.get("hop_length") or _HOP),
            "noise_scale": inference.get("noise_scale", 0.667),
            "noise_scale_duration": inference.get("noise_w", 0.8),
            "speaking_rate": 1.0 / inference.get("length_scale", 1.0),
            "num_speakers": self.speakers,
            "speakers": s.get("speaker_id_map") or {},
            "opset": next((o.version for o in self.model.opset_import if o.domain in ("", "ai.onnx")), None),
            "doubtful_operators": self.operators(),
            "phonemes": {
                "kind": "espeak" if kind == "espeak" else "characters",
                "voice": s.get("espeak", {}).get("voice"),
                "phoneme_id_map": s["phoneme_id_map"],
                "pad": "_",
                "bos": "^",
                "eos": "$",
            },
        }

    def languages(self, options) -> dict:
        """What the manifest says of languages."""
        named = self.settings.get("language") or {}
        language = options.language or named.get("family") or self.settings.get("espeak", {}).get("voice", "")
        language = language.split("-")[0].split("_")[0]
        if not language:
            raise ExportError(
                self.path.with_name(self.path.name + ".json"),
                "names no language",
                "say which with --language, for example --language es",
            )
        return {"languages": [language]}

    def source(self) -> str:
        """The voice's name."""
        return self.path.stem

    def licence(self) -> str:
        """The licence in the voice's MODEL_CARD, or `unknown`."""
        card = self.path.with_name("MODEL_CARD")
        if card.is_file():
            for line in card.read_text(encoding="utf-8", errors="replace").splitlines():
                key, _, value = line.lstrip("* ").partition(":")
                if key.strip().lower() in ("license", "licence") and value.strip():
                    return value.strip()
        return "unknown"
