"""The sound half of VITS: the inverse flow, and the HiFi-GAN generator (Kong, Kim and Bae, 2020)."""

import math

import numpy as np

from .graph import Graph
from .layers import Layers
from .vits_text import speaker_column


class Flow(Layers):
    """The inverse residual coupling block on z[B,C,F]."""

    def forward(self, z: str, mask: str, speaker: str | None) -> str:
        """Latents from a sample of the prior.

        Each flow of the reference begins by reversing the channels. Here the weights of every second
        flow are reversed instead, and the two halves are kept apart.
        """
        g, half = self.g, self.c.setting("flow_size") // 2
        low, high = g.op("Split", z, g.indices(half, half), outputs=2, axis=1)
        backwards = np.arange(half)[::-1]
        count = self.c.setting("prior_encoder_num_flows")
        for turn, i in enumerate(reversed(range(count))):
            name = f"flow.flows.{i}"
            # After an odd number of reversals the reference's first half is our upper one, backwards.
            reverse = turn % 2 == 0
            first, second = (high, low) if reverse else (low, high)
            order = backwards if reverse else None
            mean = self._mean(name, first, mask, speaker, order)
            second = self.mul(g.op("Sub", second, mean), mask)
            low, high = (second, first) if reverse else (first, second)
        if count % 2:
            # An odd count ends reversed, and the generator would see the channels so.
            low, high = high, low
            low = g.op("Gather", low, g.constant(backwards, np.int64), axis=1)
            high = g.op("Gather", high, g.constant(backwards, np.int64), axis=1)
        return g.op("Concat", low, high, axis=1)

    def _mean(self, name: str, x: str, mask: str, speaker: str | None, order) -> str:
        x = self.mul(self.conv(f"{name}.conv_pre", x, inputs=order), mask)
        x = self._wavenet(f"{name}.wavenet", x, mask, speaker)
        return self.mul(self.conv(f"{name}.conv_post", x, outputs=order), mask)

    def _wavenet(self, name: str, x: str, mask: str, speaker: str | None) -> str:
        g, c = self.g, self.c
        width = c.setting("hidden_size")
        count = c.setting("prior_encoder_num_wavenet_layers")
        kernel = c.setting("wavenet_kernel_size")
        condition = None if speaker is None else self.conv(f"{name}.cond_layer", speaker)
        total = None
        for i in range(count):
            dilation = c.setting("wavenet_dilation_rate") ** i
            pad = (kernel * dilation - dilation) // 2
            y = self.conv(f"{name}.in_layers.{i}", x, pads=(pad, pad), dilations=[dilation])
            if condition is not None:
                start = 2 * width * i
                y = self.add(y, g.op("Slice", condition, g.indices(start), g.indices(start + 2 * width), g.indices(1)))
            tanh, sigmoid = g.op("Split", y, g.indices(width, width), outputs=2, axis=1)
            y = self.mul(g.op("Tanh", tanh), g.op("Sigmoid", sigmoid))
            y = self.conv(f"{name}.res_skip_layers.{i}", y)
            skip = y
            if i < count - 1:
                residual, skip = g.op("Split", y, g.indices(width, width), outputs=2, axis=1)
                x = self.mul(self.add(x, residual), mask)
            total = skip if total is None else self.add(total, skip)
        return self.mul(total, mask)


class HifiGan(Layers):
    """The generator on latents[B,C,F]."""

    def forward(self, x: str, speaker: str | None) -> str:
        """waveform[B,1,F*hop]."""
        c = self.c
        slope = c.setting("leaky_relu_slope")
        kernels = c.setting("resblock_kernel_sizes")
        x = self.conv("decoder.conv_pre", x, pads=(3, 3))
        if speaker is not None:
            x = self.add(x, self.conv("decoder.cond", speaker))
        for i, (rate, kernel) in enumerate(zip(c.setting("upsample_rates"), c.setting("upsample_kernel_sizes"))):
            pad = (kernel - rate) // 2
            x = self.g.op("LeakyRelu", x, alpha=slope)
            x = self.conv(f"decoder.upsampler.{i}", x, kind="ConvTranspose", pads=(pad, pad), strides=[rate])
            total = None
            for j, (size, dilations) in enumerate(zip(kernels, c.setting("resblock_dilation_sizes"))):
                y = self._block(f"decoder.resblocks.{i * len(kernels) + j}", x, size, dilations, slope)
                total = y if total is None else self.add(total, y)
            x = self.scale(total, 1.0 / len(kernels))
        # The reference gives no slope here: PyTorch's own, 0.01.
        x = self.conv("decoder.conv_post", self.g.op("LeakyRelu", x, alpha=0.01), pads=(3, 3))
        return self.g.op("Tanh", x)

    def _block(self, name: str, x: str, kernel: int, dilations: list, slope: float) -> str:
        for i, dilation in enumerate(dilations):
            pad, flat = (kernel * dilation - dilation) // 2, (kernel - 1) // 2
            y = self.g.op("LeakyRelu", x, alpha=slope)
            y = self.conv(f"{name}.convs1.{i}", y, pads=(pad, pad), dilations=[dilation])
            y = self.conv(f"{name}.convs2.{i}", self.g.op("LeakyRelu", y, alpha=slope), pads=(flat, flat))
            x = self.add(x, y)
        return x


def decoder_graph(checkpoint, speakers: bool) -> Graph:
    """`decoder.onnx`."""
    g = Graph("vits-decoder")
    flow = Flow(g, checkpoint)
    hop = math.prod(checkpoint.setting("upsample_rates"))
    latent = g.input("latent", "f32", ["B", checkpoint.setting("flow_size"), "F"])
    mask = g.input("frame_mask", "f32", ["B", 1, "F"])
    condition = speaker_column(flow, g.input("speaker", "i64", ["B"]) if speakers else None)
    x = flow.mul(flow.forward(latent, mask, condition), mask)
    x = HifiGan(g, checkpoint).forward(x, condition)
    g.output(g.op("Squeeze", x, g.indices(1)), "waveform", ["B", f"{hop}*F"])
    return g
