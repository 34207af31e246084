"""Whisper (Radford et al., 2022): log-mel windows in, text and word times out."""

from .checkpoint import Checkpoint
from .errors import ExportError
from .graph import Graph
from .tokens import WhisperTokens, whisper_tokenizer
from .transformer import Dimensions, Stack


class Whisper:
    """A Whisper checkpoint of any size."""

    family = "whisper"

    def __init__(self, directory):
        c = self.checkpoint = Checkpoint(directory, "whisper", "Whisper")
        self.prefix = "model." if c.has("model.encoder.conv1.weight") else ""
        width = c.setting("d_model")
        self.encoder = Dimensions(
            c.setting("encoder_layers"), c.setting("encoder_attention_heads"), width, c.setting("encoder_ffn_dim")
        )
        self.decoder = Dimensions(
            c.setting("decoder_layers"), c.setting("decoder_attention_heads"), width, c.setting("decoder_ffn_dim")
        )
        c.expect("scale_embedding", (False,), False)
        self.activation = c.config.get("activation_function", "gelu")
        self.mels = c.setting("num_mel_bins")
        self.vocabulary = c.setting("vocab_size")
        self.preprocessor = self._preprocessor()
        self.generation = c.optional_json("generation_config.json")
        self.tokenizer = whisper_tokenizer(c)
        self.tokens = WhisperTokens(c, self.tokenizer, self.generation)

    def _preprocessor(self) -> dict:
        c = self.checkpoint
        name = "preprocessor_config.json"
        found = c.optional_json(name)
        expected = {"feature_size": self.mels, "n_fft": 400, "hop_length": 160, "sampling_rate": 16000}
        for key, value in expected.items():
            if found.get(key, value) != value:
                raise ExportError(
                    c.path(name),
                    f"has {key} = {found[key]} where HIVE's front end has {value}",
                    "HIVE computes Whisper's own features only: use the file that came with the weights",
                )
        return found

    def alignment_heads(self) -> list:
        """(layer, head) pairs in order; all heads of the last half of the layers where none are named."""
        d = self.decoder
        named = self.generation.get("alignment_heads")
        if not named:
            return [[layer, head] for layer in range(d.layers // 2, d.layers) for head in range(d.heads)]
        pairs = sorted([int(layer), int(head)] for layer, head in named)
        for layer, head in pairs:
            if layer >= d.layers or head >= d.heads:
                raise ExportError(
                    self.checkpoint.path("generation_config.json"),
                    f"names alignment head {[layer, head]} of a decoder with {d.layers} layers of {d.heads} heads",
                    "it belongs to another size of Whisper: remove alignment_heads or copy the right file",
                )
        return pairs

    def graphs(self) -> dict:
        """The graphs by file name."""
        return {"encoder.onnx": self._encoder_graph(), "decoder.onnx": self._decoder_graph()}

    def _encoder_graph(self) -> Graph:
        g = Graph("whisper-encoder")
        s = Stack(g, self.checkpoint, self.encoder, self.activation, norm_first=True)
        prefix = f"{self.prefix}encoder"
        # T is twice S: written so, tract can prove that the second convolution's output fits the mask.
        mel = g.input("mel", "f32", ["B", self.mels, "2*S"])
        frame_mask = g.input("frame_mask", "f32", ["B", 1, "2*S"])
        mask = g.input("mask", "f32", ["B", 1, 1, "S"])
        x = s.activation("gelu", s.conv(f"{prefix}.conv1", mel, pads=(1, 1)))
        # The second convolution looks one frame past a window's end, where a single window has zeros.
        x = s.mul(x, frame_mask)
        x = s.activation("gelu", s.conv(f"{prefix}.conv2", x, pads=(1, 1), strides=[2]))
        x = g.op("Transpose", x, perm=[0, 2, 1])
        x = s.positions(self.checkpoint.tensor(f"{prefix}.embed_positions.weight"), x)
        for i in range(self.encoder.layers):
            x = s.encoder_layer(f"{prefix}.layers.{i}", x, mask)
        x = s.layer_norm(f"{prefix}.layer_norm", x)
        Stack(g, self.checkpoint, self.decoder, self.activation, norm_first=True).cross_outputs(
            f"{self.prefix}decoder", self.decoder.layers, x, "S"
        )
        return g

    def _decoder_graph(self) -> Graph:
        g, c, d = Graph("whisper-decoder"), self.checkpoint, self.decoder
        s = Stack(g, c, d, self.activation, norm_first=True)
        prefix = f"{self.prefix}decoder"
        inputs = s.decoder_inputs()
        table = c.tensor(f"{prefix}.embed_tokens.weight", (self.vocabulary, d.d_model))
        x = s.add(
            s.embed(table, inputs["ids"], "embed_tokens"),
            s.embed(c.tensor(f"{prefix}.embed_positions.weight"), inputs["positions"], "embed_positions"),
        )
        rows, aligned = [], []
        heads = self.alignment_heads()
        for i in range(d.layers):
            x, key, value, probabilities = s.decoder_layer(f"{prefix}.layers.{i}", i, x, inputs)
            rows.append((key, value))
            chosen = [head for layer, head in heads if layer == i]
            if chosen:
                aligned.append(g.op("Gather", probabilities, g.indices(*chosen), axis=1))
        x = s.layer_norm(f"{prefix}.layer_norm", x)
        output = c.tensor("proj_out.weight") if c.has("proj_out.weight") else table
        g.output(s.logits(output, x), "logits", ["B", "T", self.vocabulary])
        s.present_outputs(rows)
        alignment = aligned[0] if len(aligned) == 1 else g.op("Concat", *aligned, axis=1)
        g.output(alignment, "alignment", ["B", len(heads), "T", "S"])
        return g

    def config(self) -> dict:
        """`config` of the manifest."""
        d, c = self.decoder, self.checkpoint
        return {
            "n_mels": self.mels,
            "n_fft": 400,
            "hop": 160,
            "sample_rate": 16000,
            "layers": d.layers,
            "heads": d.heads,
            "head_dim": d.head_dim,
            "d_model": d.d_model,
            "vocab_size": self.vocabulary,
            "max_source_positions": c.setting("max_source_positions"),
            "max_target_positions": c.setting("max_target_positions"),
            "alignment_heads": self.alignment_heads(),
            "max_initial_timestamp_index": self.generation.get("max_initial_timestamp_index", 50),
            **self.tokens.config(),
        }

    def languages(self, options) -> dict:
        """What the manifest says of languages."""
        return {"languages": list(self.tokens.languages) or ["en"]}

    def files(self) -> dict:
        """Files copied or made beside the graphs: contents by name."""
        return {"tokenizer.json": self.tokenizer}
