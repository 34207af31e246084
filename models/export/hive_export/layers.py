"""Layers that several families share, written into a `Graph`. Weights are named as in PyTorch."""

import math

import numpy as np

from .checkpoint import Checkpoint
from .errors import ExportError
from .graph import Graph


class Layers:
    """Adds layers to a graph, with weights from a checkpoint."""

    def __init__(self, graph: Graph, checkpoint: Checkpoint):
        self.g = graph
        self.c = checkpoint

    # ---- arithmetic

    def add(self, a: str, b: str) -> str:
        """a + b."""
        return self.g.op("Add", a, b)

    def mul(self, a: str, b: str) -> str:
        """a * b."""
        return self.g.op("Mul", a, b)

    def scale(self, a: str, factor: float) -> str:
        """a * factor."""
        return self.g.op("Mul", a, self.g.constant(factor))

    def activation(self, name: str, x: str) -> str:
        """An activation by the name that config.json gives it."""
        g = self.g
        if name == "gelu":
            # The exact form; operators in the order that onnxruntime's fusion looks for.
            erf = g.op("Erf", g.op("Div", x, g.constant(math.sqrt(2.0))))
            return self.scale(self.mul(x, self.add(erf, g.constant(1.0))), 0.5)
        if name in ("swish", "silu"):
            return self.mul(x, g.op("Sigmoid", x))
        if name == "relu":
            return g.op("Relu", x)
        raise ExportError(
            self.c.path("config.json"), f"names the activation {name!r}", "the exporter knows gelu, silu and relu only"
        )

    # ---- layers

    def linear(self, name: str, x: str, shape: tuple, factor: float = 1.0) -> str:
        """`factor` * (x W^T + b); W, of `shape` (out, in), is stored transposed."""
        weight = self.c.tensor(f"{name}.weight", shape) * np.float32(factor)
        y = self.g.op("MatMul", x, self.g.weight(weight.T, f"{name}.weight"))
        if self.c.has(f"{name}.bias"):
            bias = self.c.tensor(f"{name}.bias", shape[:1]) * np.float32(factor)
            y = self.add(y, self.g.weight(bias, f"{name}.bias"))
        return y

    def layer_norm(self, name: str, x: str, epsilon: float = 1e-5) -> str:
        """Layer normalisation over the last axis."""
        weight = self.g.weight(self.c.tensor(f"{name}.weight"), f"{name}.weight")
        bias = self.g.weight(self.c.tensor(f"{name}.bias"), f"{name}.bias")
        return self.g.op("LayerNormalization", x, weight, bias, axis=-1, epsilon=epsilon)

    def conv(self, name: str, x: str, *, kind: str = "Conv", pads=(0, 0), inputs=None, outputs=None, **attributes) -> str:
        """A one-dimensional convolution; `inputs`, `outputs` reorder its channels."""
        weight = self.c.convolution(name)
        bias = self.c.tensor(f"{name}.bias") if self.c.has(f"{name}.bias") else None
        if inputs is not None:
            weight = weight[:, inputs]
        if outputs is not None:
            weight = weight[outputs]
            bias = bias[outputs]
        arguments = [x, self.g.weight(weight, f"{name}.weight")]
        if bias is not None:
            arguments.append(self.g.weight(bias, f"{name}.bias"))
        return self.g.op(kind, *arguments, kernel_shape=[weight.shape[2]], pads=list(pads), **attributes)

    # ---- attention

    def heads(self, x: str, heads: int, head_dim: int) -> str:
        """[B,T,H*D] -> [B,H,T,D]. The zeros keep an axis whatever its length."""
        return self.g.op("Transpose", self.g.op("Reshape", x, self.g.indices(0, 0, heads, head_dim)), perm=[0, 2, 1, 3])

    def merge(self, x: str, width: int) -> str:
        """[B,H,T,D] -> [B,T,H*D]."""
        return self.g.op("Reshape", self.g.op("Transpose", x, perm=[0, 2, 1, 3]), self.g.indices(0, 0, width))

    def probabilities(self, q: str, k: str, mask: str) -> str:
        """softmax(q k^T + mask); the mask is additive."""
        scores = self.g.op("MatMul", q, self.g.op("Transpose", k, perm=[0, 1, 3, 2]))
        return self.g.op("Softmax", self.add(scores, mask), axis=-1)

    def positions(self, table: np.ndarray, x: str) -> str:
        """x[B,T,C] + the first T rows of a table of positions."""
        rows = self.g.op(
            "Slice", self.g.weight(table, "positions"), self.g.indices(0), self.g.size(x, 1), self.g.indices(0)
        )
        return self.add(x, rows)
