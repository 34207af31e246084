"""Marian as OPUS-MT ships it (Junczys-Dowmunt et al., 2018): SentencePiece ids in, ids out."""

import re

import numpy as np

from .checkpoint import Checkpoint
from .errors import ExportError
from .graph import Graph
from .transformer import Dimensions, Stack

_PAIR = re.compile(r"([a-z]{2,3})[-_]([a-z]{2,3})$")


def sinusoids(count: int, width: int) -> np.ndarray:
    """Marian's positions: sines in the first half of the columns, cosines in the second."""
    angle = np.arange(count)[:, None] / np.power(10000, 2 * (np.arange(width) // 2) / width)[None, :]
    half = (width + 1) // 2
    table = np.empty((count, width), np.float32)
    table[:, :half] = np.sin(angle[:, 0::2])
    table[:, half:] = np.cos(angle[:, 1::2])
    return table


class Marian:
    """A Marian checkpoint."""

    family = "marian"

    def __init__(self, directory):
        c = self.checkpoint = Checkpoint(directory, "marian", "Marian")
        width = c.setting("d_model")
        self.encoder = Dimensions(
            c.setting("encoder_layers"), c.setting("encoder_attention_heads"), width, c.setting("encoder_ffn_dim")
        )
        self.decoder = Dimensions(
            c.setting("decoder_layers"), c.setting("decoder_attention_heads"), width, c.setting("decoder_ffn_dim")
        )
        c.expect("normalize_before", (False,), False)
        c.expect("normalize_embedding", (False,), False)
        c.expect("add_final_layer_norm", (False,), False)
        self.activation = c.config.get("activation_function", "gelu")
        self.scale = float(width) ** 0.5 if c.config.get("scale_embedding") else 1.0
        self.source_vocabulary = c.setting("vocab_size")
        self.vocabulary = c.config.get("decoder_vocab_size") or self.source_vocabulary
        self.max_positions = c.setting("max_position_embeddings")
        self.tokenizer_config = c.optional_json("tokenizer_config.json")
        self.generation = c.optional_json("generation_config.json")
        for name in self._file_names():
            c.require(name, "is the tokenizer")

    def _file_names(self) -> list:
        names = ["source.spm", "target.spm", "vocab.json"]
        if self.tokenizer_config.get("separate_vocabs"):
            names.append("target_vocab.json")
        return names

    def _embedding(self, side: str) -> np.ndarray:
        # transformers may give the decoder of separate vocabularies as many rows as the encoder,
        # so only the width is known beforehand.
        c = self.checkpoint
        own = f"model.{side}.embed_tokens.weight"
        return c.tensor(own if c.has(own) else "model.shared.weight", (None, self.encoder.d_model))

    def _positions(self, side: str) -> np.ndarray:
        name = f"model.{side}.embed_positions.weight"
        c = self.checkpoint
        return c.tensor(name) if c.has(name) else sinusoids(self.max_positions, self.encoder.d_model)

    def graphs(self) -> dict:
        """The graphs by file name."""
        return {"encoder.onnx": self._encoder_graph(), "decoder.onnx": self._decoder_graph()}

    def _encoder_graph(self) -> Graph:
        g, c = Graph("marian-encoder"), self.checkpoint
        s = Stack(g, c, self.encoder, self.activation, norm_first=False)
        ids = g.input("ids", "i64", ["B", "S"])
        mask = g.input("mask", "f32", ["B", 1, 1, "S"])
        table = self._embedding("encoder") * np.float32(self.scale)
        x = s.positions(self._positions("encoder"), s.embed(table, ids, "embed_tokens"))
        for i in range(self.encoder.layers):
            x = s.encoder_layer(f"model.encoder.layers.{i}", x, mask)
        Stack(g, c, self.decoder, self.activation, norm_first=False).cross_outputs(
            "model.decoder", self.decoder.layers, x, "S"
        )
        return g

    def _decoder_graph(self) -> Graph:
        g, c, d = Graph("marian-decoder"), self.checkpoint, self.decoder
        s = Stack(g, c, d, self.activation, norm_first=False)
        inputs = s.decoder_inputs()
        table = self._embedding("decoder")
        x = s.add(
            s.embed(table * np.float32(self.scale), inputs["ids"], "embed_tokens"),
            s.embed(self._positions("decoder"), inputs["positions"], "embed_positions"),
        )
        rows = []
        for i in range(d.layers):
            x, key, value, _ = s.decoder_layer(f"model.decoder.layers.{i}", i, x, inputs)
            rows.append((key, value))
        tied = c.config.get("tie_word_embeddings", True)
        output = c.tensor("lm_head.weight") if not tied or c.has("lm_head.weight") else table
        if output.shape[0] != self.vocabulary:
            raise ExportError(
                c.path("config.json"),
                f"has a decoder of {self.vocabulary} tokens where the weights have {output.shape[0]}",
                "config.json and the weights are not of one model",
            )
        bias = c.tensor("final_logits_bias", (1, self.vocabulary))
        logits = s.add(s.logits(output, x), g.weight(bias[0], "final_logits_bias"))
        g.output(logits, "logits", ["B", "T", self.vocabulary])
        s.present_outputs(rows)
        return g

    def config(self) -> dict:
        """`config` of the manifest."""
        c, d = self.checkpoint, self.decoder

        def generation(name: str, default=None):
            value = self.generation.get(name, c.config.get(name))
            return default if value is None else value

        pad = c.setting("pad_token_id")
        bad_words = generation("bad_words_ids", [[pad]])
        if any(len(word) != 1 for word in bad_words):
            raise ExportError(
                c.path("generation_config.json"),
                "bans sequences of several tokens (bad_words_ids)",
                "HIVE bans single tokens only: remove the longer ones",
            )
        return {
            "pad": pad,
            "eos": c.setting("eos_token_id"),
            "decoder_start": c.setting("decoder_start_token_id"),
            "layers": d.layers,
            "heads": d.heads,
            "head_dim": d.head_dim,
            "d_model": d.d_model,
            "vocab_size": self.vocabulary,
            "source_vocab_size": self.source_vocabulary,
            "max_positions": self.max_positions,
            "max_length": generation("max_length", 512),
            "forced_eos": generation("forced_eos_token_id"),
            "bad_words": [word[0] for word in bad_words],
            "num_beams": generation("num_beams", 4),
            "length_penalty": generation("length_penalty", 1.0),
            "early_stopping": generation("early_stopping", False),
            "renormalize_logits": generation("renormalize_logits", False),
            "target_tokens": self._target_tokens(),
        }

    def _target_tokens(self) -> list:
        """`>>es<<` and the like, which a model of several target languages wants first."""
        vocabulary = self.checkpoint.json("vocab.json")
        return sorted(token for token in vocabulary if token.startswith(">>") and token.endswith("<<"))

    def languages(self, options) -> dict:
        """What the manifest says of languages."""
        pair = options.pair
        config = self.tokenizer_config
        if pair is None and config.get("source_lang") and config.get("target_lang"):
            pair = f"{config['source_lang']}-{config['target_lang']}"
        for name in (pair, options.name, self.checkpoint.source(), self.checkpoint.directory.resolve().name):
            found = _PAIR.search(name) if name else None
            if found:
                return {"pairs": [[found.group(1), found.group(2)]]}
        raise ExportError(
            self.checkpoint.path("tokenizer_config.json"),
            "names no pair of languages",
            "say which with --pair, for example --pair en-es",
        )

    def files(self) -> dict:
        """Files copied beside the graphs: contents by name."""
        return {name: self.checkpoint.path(name).read_bytes() for name in self._file_names()}
