"""Whisper's special tokens, found in its tokenizer by name rather than by number."""

import json
import re

from .checkpoint import Checkpoint
from .errors import ExportError

_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")


def whisper_tokenizer(checkpoint: Checkpoint) -> bytes:
    """tokenizer.json, made from vocab.json and merges.txt where an old checkpoint has only those."""
    path = checkpoint.path("tokenizer.json")
    if path.is_file():
        return path.read_bytes()
    if checkpoint.path("vocab.json").is_file() and checkpoint.path("merges.txt").is_file():
        from transformers import WhisperTokenizerFast

        tokenizer = WhisperTokenizerFast.from_pretrained(str(checkpoint.directory))
        return tokenizer.backend_tokenizer.to_str().encode("utf-8")
    raise ExportError(
        path, "is missing", "copy tokenizer.json (or vocab.json, merges.txt and added_tokens.json) from the model's source"
    )


class WhisperTokens:
    """Ids of the special tokens."""

    def __init__(self, checkpoint: Checkpoint, tokenizer: bytes, generation: dict):
        path = checkpoint.path("tokenizer.json")
        try:
            parsed = json.loads(tokenizer)
            added = {token["content"]: token["id"] for token in parsed["added_tokens"]}
            # Some tokenizers keep <|endoftext|> in the vocabulary only.
            known = {**parsed["model"]["vocab"], **added}
        except (ValueError, KeyError, TypeError) as error:
            raise ExportError(path, f"is not a tokenizer ({error!r})", "copy it again from the model's source") from error

        def find(*names: str, required: bool = True):
            for name in names:
                if name in known:
                    return known[name]
            if required:
                raise ExportError(
                    path, f"has no token {names[0]}", "it is not Whisper's: copy the one that came with the weights"
                )
            return None

        self.sot = find("<|startoftranscript|>")
        self.eot = find("<|endoftext|>")
        self.no_timestamps = find("<|notimestamps|>")
        self.no_speech = find("<|nospeech|>", "<|nocaptions|>", required=False)
        self.sot_prev = find("<|startofprev|>", required=False)
        # The timestamps follow <|notimestamps|>; older tokenizers do not list them.
        self.timestamp_begin = known.get("<|0.00|>", self.no_timestamps + 1)
        # English-only models have the tokens of languages and tasks and must not be given them.
        multilingual = generation.get("is_multilingual")
        if multilingual is None:
            multilingual = checkpoint.setting("vocab_size") >= 51865
        self.multilingual = bool(multilingual)
        self.transcribe = find("<|transcribe|>") if self.multilingual else None
        self.translate = find("<|translate|>") if self.multilingual else None
        self.languages = self._languages(known, generation) if self.multilingual else {}
        vocabulary = checkpoint.setting("vocab_size")
        for name, token in known.items():
            if token >= vocabulary:
                raise ExportError(
                    path,
                    f"gives {name!r} the id {token} where config.json has {vocabulary} tokens",
                    "it belongs to another size of Whisper: copy the one that came with the weights",
                )
        self._suppressed = self._suppression(checkpoint, generation)

    @staticmethod
    def _languages(known: dict, generation: dict) -> dict:
        named = generation.get("lang_to_id")
        if named is None:
            named = {name: token for name, token in known.items() if _LANGUAGE.fullmatch(name)}
        return {name[2:-2]: token for name, token in sorted(named.items(), key=lambda item: item[1])}

    @staticmethod
    def _suppression(checkpoint: Checkpoint, generation: dict) -> dict:
        # Before generation_config.json existed the lists were in config.json.
        def of(key: str) -> list:
            value = generation.get(key, checkpoint.config.get(key))
            return [int(token) for token in value or [] if int(token) >= 0]

        return {key: of(key) for key in ("suppress_tokens", "begin_suppress_tokens")}

    def config(self) -> dict:
        """The part of the manifest's config about tokens."""
        return {
            "multilingual": self.multilingual,
            "tokens": {
                "sot": self.sot,
                "eot": self.eot,
                "transcribe": self.transcribe,
                "translate": self.translate,
                "no_timestamps": self.no_timestamps,
                "timestamp_begin": self.timestamp_begin,
                "no_speech": self.no_speech,
                "sot_prev": self.sot_prev,
                "languages": self.languages,
            },
            **self._suppressed,
        }
