"""The text half of VITS (Kim, Kong and Son, 2021): symbols in, prior and durations out.

Two parts are written otherwise than in the reference, because tract cannot run those: the relative
attention bias is a sum over its few diagonals instead of a padded N x N reshape, and the spline
chooses with `Where` instead of writing through a boolean mask.
"""

import math

import numpy as np

from .graph import Graph
from .layers import Layers


class TextEncoder(Layers):
    """The transformer over symbols, on x[B,N,C]."""

    def __init__(self, graph, checkpoint):
        super().__init__(graph, checkpoint)
        c = checkpoint
        self.width = c.setting("hidden_size")
        self.heads_count = c.setting("num_attention_heads")
        self.head_dim = self.width // self.heads_count
        self.window = c.config.get("window_size") or 0
        self.epsilon = c.config.get("layer_norm_eps", 1e-5)
        self.activation_name = c.config.get("hidden_act", "relu")
        self._diagonals = []
        self._band = None

    def forward(self, ids: str, column: str, mask: str) -> str:
        """Hidden states; `column` is the padding mask as [B,N,1], `mask` the additive one [B,1,1,N]."""
        g, c = self.g, self.c
        table = c.tensor("text_encoder.embed_tokens.weight", (c.setting("vocab_size"), self.width))
        x = g.op("Gather", g.weight(table * np.float32(math.sqrt(self.width)), "embed_tokens"), ids, axis=0)
        x = self.mul(x, column)
        self._make_diagonals(ids)
        row = g.op("Transpose", column, perm=[0, 2, 1])
        for i in range(c.setting("num_hidden_layers")):
            name = f"text_encoder.encoder.layers.{i}"
            x = self.layer_norm(f"{name}.layer_norm", self.add(x, self._attention(f"{name}.attention", x, mask)), self.epsilon)
            x = self.layer_norm(
                f"{name}.final_layer_norm", self.add(x, self._feed_forward(f"{name}.feed_forward", x, row)), self.epsilon
            )
        return self.mul(x, column)

    def _make_diagonals(self, ids: str) -> None:
        """For each relative position within the window, ones where key - query equals it: [N,N]."""
        if not self.window:
            return
        g = self.g
        n = g.op("Squeeze", g.size(ids, 1), g.indices(0))
        steps = g.op("Range", g.constant(0, np.int64), n, g.constant(1, np.int64))
        relative = g.op("Sub", g.op("Unsqueeze", steps, g.indices(0)), g.op("Unsqueeze", steps, g.indices(1)))
        for offset in range(-self.window, self.window + 1):
            here = g.op("Equal", relative, g.constant(offset, np.int64))
            self._diagonals.append(g.op("Cast", here, to=1))
        offsets = np.arange(-self.window, self.window + 1)[:, None, None]
        # The same as one tensor [2w+1,N,N].
        self._band = g.op("Cast", g.op("Equal", relative, g.constant(offsets, np.int64)), to=1)

    def _attention(self, name: str, x: str, mask: str) -> str:
        g, width, d = self.g, self.width, self.head_dim
        shape = (width, width)
        q = self.heads(self.linear(f"{name}.q_proj", x, shape, d**-0.5), self.heads_count, d)
        k = self.heads(self.linear(f"{name}.k_proj", x, shape), self.heads_count, d)
        v = self.heads(self.linear(f"{name}.v_proj", x, shape), self.heads_count, d)
        scores = g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2]))
        if self.window:
            # [2w+1, D]: one bias for each relative position, [B,H,N,2w+1].
            keys = self.c.tensor(f"{name}.emb_rel_k", (1, 2 * self.window + 1, d))[0]
            bias = g.op("MatMul", q, g.weight(keys.T, f"{name}.emb_rel_k"))
            for i, diagonal in enumerate(self._diagonals):
                column = g.op("Slice", bias, g.indices(i), g.indices(i + 1), g.indices(3))
                scores = self.add(scores, self.mul(column, diagonal))
        p = g.op("Softmax", self.add(scores, mask), axis=-1)
        y = g.op("MatMul", p, v)
        if self.window:
            # A row meets a diagonal once at most, and no probability is negative: the greatest is the sum.
            # All diagonals at once, [B,H,2w+1,N]: tract's time to load doubles with each term of a chain.
            met = g.op("ReduceMax", self.mul(g.op("Unsqueeze", p, g.indices(2)), self._band), axes=[4], keepdims=0)
            values = self.c.tensor(f"{name}.emb_rel_v", (1, 2 * self.window + 1, d))[0]
            met = g.op("Transpose", met, perm=[0, 1, 3, 2])
            y = self.add(y, g.op("MatMul", met, g.weight(values, f"{name}.emb_rel_v")))
        return self.linear(f"{name}.out_proj", self.merge(y, width), shape)

    def _feed_forward(self, name: str, x: str, row: str) -> str:
        g = self.g
        kernel = self.c.setting("ffn_kernel_size")
        pads = ((kernel - 1) // 2, kernel // 2)
        y = self.mul(g.op("Transpose", x, perm=[0, 2, 1]), row)
        y = self.activation(self.activation_name, self.conv(f"{name}.conv_1", y, pads=pads))
        y = self.conv(f"{name}.conv_2", self.mul(y, row), pads=pads)
        return g.op("Transpose", self.mul(y, row), perm=[0, 2, 1])


class Durations(Layers):
    """The duration predictors, on x[B,C,N]."""

    MIN_BIN = 1e-3
    MIN_DERIVATIVE = 1e-3

    def channel_norm(self, name: str, x: str, epsilon: float = 1e-5) -> str:
        """Layer normalisation over the channels of x[B,C,N]."""
        turned = self.g.op("Transpose", x, perm=[0, 2, 1])
        return self.g.op("Transpose", self.layer_norm(name, turned, epsilon), perm=[0, 2, 1])

    def _condition(self, x: str, speaker: str | None) -> str:
        return x if speaker is None else self.add(x, self.conv("duration_predictor.cond", speaker))

    def deterministic(self, x: str, row: str, speaker: str | None) -> str:
        """log_duration[B,1,N] by two convolutions."""
        name = "duration_predictor"
        epsilon = self.c.config.get("layer_norm_eps", 1e-5)
        pad = self.c.setting("duration_predictor_kernel_size") // 2
        x = self._condition(x, speaker)
        for i in (1, 2):
            x = self.g.op("Relu", self.conv(f"{name}.conv_{i}", self.mul(x, row), pads=(pad, pad)))
            x = self.channel_norm(f"{name}.norm_{i}", x, epsilon)
        return self.mul(self.conv(f"{name}.proj", self.mul(x, row)), row)

    def stochastic(self, x: str, row: str, noise: str, speaker: str | None) -> str:
        """log_duration[B,1,N] by the inverse flow over noise[B,2,N]."""
        name = "duration_predictor"
        x = self._condition(self.conv(f"{name}.conv_pre", x), speaker)
        x = self._separable(f"{name}.conv_dds", x, row)
        x = self.mul(self.conv(f"{name}.conv_proj", x), row)
        first, second = self.g.op("Split", noise, self.g.indices(1, 1), outputs=2, axis=1)
        # Every flow but the first convolutional one, backwards; each begins by exchanging the two
        # channels. The affine flow comes last.
        for i in range(self.c.setting("duration_predictor_num_flows"), 1, -1):
            first, second = self._spline_flow(f"{name}.flows.{i}", second, first, x, row)
        first = second
        translate = self.c.tensor(f"{name}.flows.0.translate")[0, 0]
        shrink = np.exp(-self.c.tensor(f"{name}.flows.0.log_scale")[0, 0])
        shifted = self.g.op("Sub", first, self.g.constant(translate))
        return self.mul(self.scale(shifted, shrink), row)

    def _separable(self, name: str, x: str, row: str) -> str:
        """Dilated depth-separable convolutions."""
        kernel = self.c.setting("duration_predictor_kernel_size")
        for i in range(self.c.setting("depth_separable_num_layers")):
            dilation = kernel**i
            pad = (kernel * dilation - dilation) // 2
            y = self.conv(
                f"{name}.convs_dilated.{i}",
                self.mul(x, row),
                pads=(pad, pad),
                dilations=[dilation],
                group=self.c.setting("hidden_size"),
            )
            y = self.activation("gelu", self.channel_norm(f"{name}.norms_1.{i}", y))
            y = self.conv(f"{name}.convs_pointwise.{i}", y)
            y = self.activation("gelu", self.channel_norm(f"{name}.norms_2.{i}", y))
            x = self.add(x, y)
        return self.mul(x, row)

    def _spline_flow(self, name: str, first: str, second: str, condition: str, row: str):
        g, width = self.g, self.c.setting("hidden_size")
        bins = self.c.setting("duration_predictor_flow_bins")
        x = self._separable(f"{name}.conv_dds", self.add(self.conv(f"{name}.conv_pre", first), condition), row)
        x = self.mul(self.conv(f"{name}.conv_proj", x), row)
        # [B,3n-1,N] -> [B,N,3n-1]; one channel is transformed, so that nothing needs a fourth axis.
        x = g.op("Transpose", x, perm=[0, 2, 1])
        widths, heights, derivatives = g.op("Split", x, g.indices(bins, bins, bins - 1), outputs=3, axis=2)
        shrink = 1.0 / math.sqrt(width)
        value = g.op("Transpose", second, perm=[0, 2, 1])
        value = self._inverse_spline(value, self.scale(widths, shrink), self.scale(heights, shrink), derivatives, bins)
        second = self.mul(g.op("Transpose", value, perm=[0, 2, 1]), row)
        return self.mul(first, row), second

    def _knots(self, raw: str, bins: int, bound: float):
        """Positions [B,N,n+1] and sizes [B,N,n] of the bins from unnormalised sizes."""
        g = self.g
        sizes = self.add(
            self.scale(g.op("Softmax", raw, axis=-1), 1.0 - self.MIN_BIN * bins), g.constant(self.MIN_BIN)
        )
        # A running sum as a product with a triangle: the edges themselves are the bounds, exactly.
        triangle = np.triu(np.ones((bins, bins - 1), np.float32), 0)
        inner = g.op("MatMul", sizes, g.weight(triangle, "running_sum"))
        inner = self.add(self.scale(inner, 2 * bound), g.constant(-bound))
        edge = self.scale(g.op("Slice", raw, g.indices(0), g.indices(1), g.indices(2)), 0.0)
        knots = g.op(
            "Concat", self.add(edge, g.constant(-bound)), inner, self.add(edge, g.constant(bound)), axis=2
        )
        below = g.op("Slice", knots, g.indices(0), g.indices(bins), g.indices(2))
        above = g.op("Slice", knots, g.indices(1), g.indices(bins + 1), g.indices(2))
        return below, g.op("Sub", above, below)

    def _inverse_spline(self, value: str, widths: str, heights: str, derivatives: str, bins: int) -> str:
        """The inverse rational-quadratic spline (Durkan et al., 2019) of value[B,N,1]; outside of the
        bounds it is the identity."""
        g = self.g
        bound = float(self.c.setting("duration_predictor_tail_bound"))
        x = g.op("Clip", value, g.constant(-bound), g.constant(bound))
        left, width = self._knots(widths, bins, bound)
        bottom, height = self._knots(heights, bins, bound)
        slope = self.add(g.op("Softplus", derivatives), g.constant(self.MIN_DERIVATIVE))
        # The outermost derivatives are one: log(exp(1 - m) - 1) through softplus, plus m.
        edge = self.add(
            self.scale(g.op("Slice", derivatives, g.indices(0), g.indices(1), g.indices(2)), 0.0), g.constant(1.0)
        )
        slopes = g.op("Concat", edge, slope, edge, axis=2)
        rising = g.op("Slice", slopes, g.indices(0), g.indices(bins), g.indices(2))
        falling = g.op("Slice", slopes, g.indices(1), g.indices(bins + 1), g.indices(2))
        # The bin of x, as ones and zeros: at or above its bottom, and not above the next one's.
        reached = g.op("Cast", g.op("GreaterOrEqual", x, bottom), to=1)
        after = g.op("Slice", reached, g.indices(1), g.indices(bins), g.indices(2))
        inside = g.op("Sub", reached, g.op("Concat", after, self.scale(edge, 0.0), axis=2))

        def at(table: str) -> str:
            return g.op("ReduceSum", self.mul(table, inside), g.indices(2), keepdims=1)

        x0, w, y0, h = at(left), at(width), at(bottom), at(height)
        d0, d1 = at(rising), at(falling)
        delta = g.op("Div", h, w)
        curve = g.op("Sub", self.add(d0, d1), self.scale(delta, 2.0))
        offset = g.op("Sub", x, y0)
        bent = self.mul(offset, curve)
        a = self.add(self.mul(h, g.op("Sub", delta, d0)), bent)
        b = g.op("Sub", self.mul(h, d0), bent)
        c = g.op("Neg", self.mul(delta, offset))
        discriminant = g.op("Sub", self.mul(b, b), self.scale(self.mul(a, c), 4.0))
        root = g.op("Div", self.scale(c, 2.0), g.op("Sub", g.op("Neg", b), g.op("Sqrt", discriminant)))
        result = self.add(self.mul(root, w), x0)
        unchanged = g.op("Equal", x, value)
        return g.op("Where", unchanged, result, value)


def speaker_column(layers: Layers, speaker: str | None) -> str | None:
    """speaker[B] -> its embedding [B,E,1]."""
    if speaker is None:
        return None
    g, c = layers.g, layers.c
    table = c.tensor("embed_speaker.weight", (c.setting("num_speakers"), c.setting("speaker_embedding_size")))
    return g.op("Unsqueeze", g.op("Gather", g.weight(table, "embed_speaker"), speaker, axis=0), g.indices(2))


def text_graph(checkpoint, speakers: bool, stochastic: bool) -> Graph:
    """`text.onnx`."""
    g = Graph("vits-text")
    encoder = TextEncoder(g, checkpoint)
    ids = g.input("ids", "i64", ["B", "N"])
    mask = g.input("mask", "f32", ["B", "N"])
    noise = g.input("noise", "f32", ["B", 2, "N"]) if stochastic else None
    speaker = g.input("speaker", "i64", ["B"]) if speakers else None
    column = g.op("Unsqueeze", mask, g.indices(2))
    row = g.op("Unsqueeze", mask, g.indices(1))
    additive = encoder.scale(g.op("Sub", g.constant(1.0), mask), -1e9)
    x = encoder.forward(ids, column, g.op("Unsqueeze", additive, g.indices(1, 2)))
    x = g.op("Transpose", x, perm=[0, 2, 1])
    flow_size = checkpoint.setting("flow_size")
    prior = g.op("Transpose", encoder.mul(encoder.conv("text_encoder.project", x), row), perm=[0, 2, 1])
    mean, log_variance = g.op("Split", prior, g.indices(flow_size, flow_size), outputs=2, axis=2)
    durations = Durations(g, checkpoint)
    condition = speaker_column(durations, speaker)
    log_duration = (
        durations.stochastic(x, row, noise, condition) if stochastic else durations.deterministic(x, row, condition)
    )
    g.output(mean, "mean", ["B", "N", flow_size])
    g.output(log_variance, "log_variance", ["B", "N", flow_size])
    g.output(log_duration, "log_duration", ["B", 1, "N"])
    return g
