"""The encoder-decoder that Whisper and Marian share: one description, two graphs.

Both are the BART layer (self-attention, cross-attention, two linear layers); Whisper normalises
before each part, Marian after. The decoder's past is explicit: it takes the keys and values of the
tokens before, and returns those of the new tokens only.
"""

from dataclasses import dataclass

import numpy as np

from .layers import Layers


@dataclass(frozen=True)
class Dimensions:
    """Sizes of one stack of layers."""

    layers: int
    heads: int
    d_model: int
    ffn: int

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.d_model // self.heads


class Stack(Layers):
    """Writes encoder and decoder layers."""

    def __init__(self, graph, checkpoint, dimensions: Dimensions, activation: str, norm_first: bool):
        super().__init__(graph, checkpoint)
        self.dims = dimensions
        self.act = activation
        self.norm_first = norm_first

    def _project(self, name: str, x: str, factor: float = 1.0) -> str:
        d = self.dims
        return self.heads(self.linear(name, x, (d.d_model, d.d_model), factor), d.heads, d.head_dim)

    def _query(self, name: str, x: str) -> str:
        # The scale of the scores is folded into the query's weights.
        return self._project(f"{name}.q_proj", x, self.dims.head_dim**-0.5)

    def _residual(self, norm: str, x: str, part) -> str:
        """x + part(x) with its normalisation before or after."""
        if self.norm_first:
            return self.add(x, part(self.layer_norm(norm, x)))
        return self.layer_norm(norm, self.add(x, part(x)))

    def _feed_forward(self, name: str, x: str) -> str:
        d = self.dims
        hidden = self.activation(self.act, self.linear(f"{name}.fc1", x, (d.ffn, d.d_model)))
        return self.linear(f"{name}.fc2", hidden, (d.d_model, d.ffn))

    def _output(self, name: str, probabilities: str, values: str) -> str:
        d = self.dims
        merged = self.merge(self.g.op("MatMul", probabilities, values), d.d_model)
        return self.linear(f"{name}.out_proj", merged, (d.d_model, d.d_model))

    def encoder_layer(self, name: str, x: str, mask: str) -> str:
        """One layer of the encoder on x[B,S,d]."""

        def attention(y: str) -> str:
            a = f"{name}.self_attn"
            p = self.probabilities(self._query(a, y), self._project(f"{a}.k_proj", y), mask)
            return self._output(a, p, self._project(f"{a}.v_proj", y))

        x = self._residual(f"{name}.self_attn_layer_norm", x, attention)
        return self._residual(f"{name}.final_layer_norm", x, lambda y: self._feed_forward(name, y))

    def cross_outputs(self, prefix: str, layers: int, x: str, source_axis: str) -> None:
        """Declares every decoder layer's cross keys and values, computed once a source."""
        d = self.dims
        for i in range(layers):
            for kind in "kv":
                y = self._project(f"{prefix}.layers.{i}.encoder_attn.{kind}_proj", x)
                self.g.output(y, f"cross_{kind}.{i}", ["B", d.heads, source_axis, d.head_dim])

    def decoder_inputs(self) -> dict:
        """Declares the decoder's inputs in the contract's order."""
        d, g = self.dims, self.g
        names = {
            "ids": g.input("ids", "i64", ["B", "T"]),
            "positions": g.input("positions", "i64", ["B", "T"]),
            "mask": g.input("mask", "f32", ["B", 1, "T", "P+T"]),
            "cross_mask": g.input("cross_mask", "f32", ["B", 1, 1, "S"]),
        }
        for group, axis in (("past", "P"), ("cross", "S")):
            for i in range(d.layers):
                for kind in "kv":
                    name = f"{group}_{kind}.{i}"
                    names[name] = g.input(name, "f32", ["B", d.heads, axis, d.head_dim])
        return names

    def decoder_layer(self, name: str, index: int, x: str, inputs: dict):
        """One layer of the decoder on x[B,T,d]: its output, new key, new value and cross-attention."""
        new = {}

        def attention(y: str) -> str:
            a = f"{name}.self_attn"
            query = self._query(a, y)
            joined = {}
            for kind in "kv":
                new[kind] = self._project(f"{a}.{kind}_proj", y)
                joined[kind] = self.g.op("Concat", inputs[f"past_{kind}.{index}"], new[kind], axis=2)
            p = self.probabilities(query, joined["k"], inputs["mask"])
            return self._output(a, p, joined["v"])

        def cross(y: str) -> str:
            a = f"{name}.encoder_attn"
            p = self.probabilities(self._query(a, y), inputs[f"cross_k.{index}"], inputs["cross_mask"])
            new["p"] = p
            return self._output(a, p, inputs[f"cross_v.{index}"])

        x = self._residual(f"{name}.self_attn_layer_norm", x, attention)
        x = self._residual(f"{name}.encoder_attn_layer_norm", x, cross)
        x = self._residual(f"{name}.final_layer_norm", x, lambda y: self._feed_forward(name, y))
        return x, new["k"], new["v"], new["p"]

    def present_outputs(self, rows: list) -> None:
        """Declares the keys and values of the new tokens."""
        d = self.dims
        for i, pair in enumerate(rows):
            for kind, value in zip("kv", pair):
                self.g.output(value, f"present_{kind}.{i}", ["B", d.heads, "T", d.head_dim])

    def embed(self, table: np.ndarray, ids: str, hint: str) -> str:
        """Rows of a table."""
        return self.g.op("Gather", self.g.weight(table, hint), ids, axis=0)

    def logits(self, table: np.ndarray, x: str) -> str:
        """x times the transposed embedding: stored as a weight of its own, because tract would otherwise
        transpose the embedding that the lookup shares with it at every step."""
        return self.g.op("MatMul", x, self.g.weight(table.T, "logits.weight"))
