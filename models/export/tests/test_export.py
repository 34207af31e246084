"""Exports of small random checkpoints, whole: `python -m unittest` in models/export."""

import hashlib
import json
import shutil
import tempfile
import unittest
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from safetensors.torch import load_file, save_file

from hive_export import check
from hive_export.__main__ import export, main, parser
from hive_export.errors import ExportError
from hive_export.graph import transposed_weights
from hive_reference import checkpoints

#: Operators that the runtime's tract backend is known to run; a new one needs a look first.
OPERATORS = {
    "Add", "Cast", "Clip", "Concat", "Conv", "ConvTranspose", "Div", "Equal", "Erf", "Gather", "GreaterOrEqual",
    "LayerNormalization", "LeakyRelu", "MatMul", "Mul", "Neg", "Range", "ReduceMax", "ReduceSum", "Relu", "Reshape", "Shape",
    "Sigmoid", "Slice", "Softmax", "Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze", "Where",
}


class Case(unittest.TestCase):
    """A directory that goes away, and exports in it."""

    @classmethod
    def setUpClass(cls):
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)
        cls.root = Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.root)

    def checkpoint(self, name: str) -> Path:
        """A copy of a random checkpoint that a test may spoil."""
        made = self.root / name
        if not made.exists():
            checkpoints.make(name, made)
        copied = Path(tempfile.mkdtemp(dir=self.root)) / name
        shutil.copytree(made, copied)
        return copied

    def export(self, family: str, checkpoint: Path, *options: str):
        """Errors found, and the model directory."""
        out = checkpoint.with_name("model")
        return export(parser().parse_args([family, str(checkpoint), str(out), *options])), out

    def refused(self, family: str, checkpoint: Path, *options: str) -> str:
        """The message of an export that must fail and leave nothing behind."""
        with self.assertRaises(ExportError) as caught:
            self.export(family, checkpoint, *options)
        self.assertEqual([p.name for p in checkpoint.parent.iterdir() if "model" in p.name], [])
        return str(caught.exception)


class Exports(Case):
    def test_every_family_agrees_with_transformers(self):
        for name, shape in checkpoints.SHAPES.items():
            if name in ("whisper-tiny", "marian-base", "vits-mms"):
                continue
            with self.subTest(name):
                errors, out = self.export(shape.family, self.checkpoint(name))
                self.assertLess(max(errors.values()), 1e-4)
                for path in out.glob("*.onnx"):
                    model = onnx.load(str(path))
                    self.assertEqual(model.opset_import[0].version, 17)
                    self.assertEqual(transposed_weights(model), [])
                    self.assertEqual({node.op_type for node in model.graph.node} - OPERATORS, set())

    def test_the_manifest_lists_every_file_with_its_hash(self):
        _, out = self.export("whisper", self.checkpoint("whisper-mini"), "--name", "a-name", "--licence", "mit")
        manifest = json.loads((out / "model.json").read_text())
        self.assertEqual((manifest["contract"], manifest["family"], manifest["name"]), (1, "whisper", "a-name"))
        self.assertEqual(manifest["licence"], "mit")
        self.assertEqual(set(manifest["files"]), {p.name for p in out.iterdir()} - {"model.json"})
        for name, entry in manifest["files"].items():
            content = (out / name).read_bytes()
            self.assertEqual(entry, {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)})

    def test_whispers_dimensions_and_tokens_come_from_its_files(self):
        _, out = self.export("whisper", self.checkpoint("whisper-mini"), "--no-check")
        manifest = json.loads((out / "model.json").read_text())
        config = manifest["config"]
        self.assertEqual((config["n_mels"], config["max_source_positions"], config["head_dim"]), (128, 200, 16))
        self.assertEqual(config["alignment_heads"], [[1, 0], [2, 0], [2, 1]])
        self.assertEqual(config["tokens"]["timestamp_begin"], config["tokens"]["no_timestamps"] + 1)
        self.assertEqual(len(manifest["languages"]), 99)

    def test_half_precision_pickled_weights_are_read(self):
        whole = self.checkpoint("marian-mini")
        weights = load_file(str(whole / "model.safetensors"))
        (whole / "model.safetensors").unlink()
        torch.save({k: v.half() for k, v in weights.items()}, str(whole / "pytorch_model.bin"))
        errors, _ = self.export("marian", whole)
        self.assertLess(errors["logits"], 1e-4)

    def test_weights_beyond_protobufs_limit_go_beside_the_graph(self):
        from hive_export import graph

        limit, graph.EXTERNAL_DATA_BYTES = graph.EXTERNAL_DATA_BYTES, 1000
        self.addCleanup(setattr, graph, "EXTERNAL_DATA_BYTES", limit)
        errors, out = self.export("marian", self.checkpoint("marian-mini"))
        self.assertLess(errors["logits"], 1e-4)
        self.assertIn("decoder.onnx.data", json.loads((out / "model.json").read_text())["files"])


class Refusals(Case):
    def test_another_architecture(self):
        message = self.refused("whisper", self.checkpoint("marian-mini"))
        self.assertIn("config.json", message)
        self.assertIn("python -m hive_export marian", message)

    def test_missing_files(self):
        for family, name, missing in (
            ("whisper", "whisper-mini", "tokenizer.json"),
            ("whisper", "whisper-mini", "config.json"),
            ("marian", "marian-mini", "target.spm"),
            ("marian", "marian-separate", "target_vocab.json"),
            ("vits", "vits-mini", "vocab.json"),
        ):
            with self.subTest(missing):
                checkpoint = self.checkpoint(name)
                (checkpoint / missing).unlink()
                self.assertIn(missing, self.refused(family, checkpoint))

    def test_missing_and_damaged_weights(self):
        checkpoint = self.checkpoint("whisper-mini")
        weights = checkpoint / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:5000])
        self.assertIn("model.safetensors", self.refused("whisper", checkpoint))
        weights.unlink()
        self.assertIn("pytorch_model.bin", self.refused("whisper", checkpoint))

    def test_a_missing_tensor_is_named(self):
        checkpoint = self.checkpoint("vits-mini")
        path = checkpoint / "model.safetensors"
        weights = load_file(str(path))
        del weights["decoder.conv_pre.weight"]
        save_file(weights, str(path), metadata={"format": "pt"})
        self.assertIn("decoder.conv_pre.weight", self.refused("vits", checkpoint))

    def test_settings_that_are_not_known(self):
        for family, name, key, value in (
            ("marian", "marian-mini", "activation_function", "snake"),
            ("marian", "marian-mini", "normalize_before", True),
            ("vits", "vits-mini", "hidden_act", "snake"),
            ("marian", "marian-mini", "d_model", 32),
        ):
            with self.subTest(key):
                checkpoint = self.checkpoint(name)
                config = json.loads((checkpoint / "config.json").read_text())
                (checkpoint / "config.json").write_text(json.dumps({**config, key: value}))
                self.refused(family, checkpoint)

    def test_an_export_that_differs_is_not_written(self):
        checkpoint = self.checkpoint("marian-mini")
        tolerance, check.TOLERANCE = check.TOLERANCE, 1e-12
        self.addCleanup(setattr, check, "TOLERANCE", tolerance)
        self.assertIn("differs from transformers", self.refused("marian", checkpoint))

    def test_a_directory_with_files_is_not_overwritten(self):
        checkpoint = self.checkpoint("vits-mini")
        (checkpoint.with_name("model")).mkdir()
        (checkpoint.with_name("model") / "precious").write_text("")
        self.assertEqual(main(["vits", str(checkpoint), str(checkpoint.with_name("model"))]), 1)
        self.assertTrue((checkpoint.with_name("model") / "precious").exists())


class Voices(Case):
    def voice(self, inputs) -> Path:
        """A graph with a Piper voice's inputs, and a voice's configuration."""
        directory = Path(tempfile.mkdtemp(dir=self.root)) / "voice"
        directory.mkdir()
        kinds = {"scales": onnx.TensorProto.FLOAT}
        values = [onnx.helper.make_tensor_value_info(n, kinds.get(n, onnx.TensorProto.INT64), ["N"]) for n in inputs]
        output = onnx.helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, ["N"])
        node = onnx.helper.make_node("RandomNormalLike", ["scales"], ["output"])
        graph = onnx.helper.make_graph([node], "voice", values, [output])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 15)])
        model.ir_version = 8
        onnx.save(model, str(directory / "es_ES-x-low.onnx"))
        settings = {
            "audio": {"sample_rate": 16000}, "espeak": {"voice": "es"}, "language": {"code": "es_ES", "family": "es"},
            "inference": {"noise_scale": 0.5, "length_scale": 2.0, "noise_w": 0.7}, "num_speakers": 1,
            "phoneme_id_map": {"_": [0], "^": [1], "$": [2], "a": [3]},
        }
        (directory / "es_ES-x-low.onnx.json").write_text(json.dumps(settings))
        return directory

    def test_a_voice_is_taken_whole(self):
        directory = self.voice(["input", "input_lengths", "scales"])
        _, out = self.export("piper", directory)
        manifest = json.loads((out / "model.json").read_text())
        self.assertEqual(manifest["family"], "vits")
        self.assertEqual(manifest["languages"], ["es"])
        self.assertEqual(list(manifest["files"]), ["voice.onnx"])
        self.assertEqual(manifest["config"]["layout"], "piper")
        self.assertEqual(manifest["config"]["speaking_rate"], 0.5)
        self.assertEqual(manifest["config"]["doubtful_operators"], ["RandomNormalLike"])

    def test_other_graphs_and_half_voices_are_refused(self):
        self.assertIn("scales", self.refused("piper", self.voice(["input", "scales"])))
        directory = self.voice(["input", "input_lengths", "scales"])
        next(directory.glob("*.json")).unlink()
        self.assertIn(".onnx.json", self.refused("piper", directory))


class Reference(unittest.TestCase):
    def test_sinusoids_are_those_of_transformers(self):
        from hive_export.marian import sinusoids
        from transformers import MarianConfig
        from transformers.models.marian.modeling_marian import MarianEncoder

        config = MarianConfig(
            vocab_size=10, pad_token_id=9, d_model=20, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=8,
            max_position_embeddings=40,
        )
        theirs = MarianEncoder(config).embed_positions.weight.detach().numpy()
        np.testing.assert_allclose(sinusoids(40, 20), theirs, atol=1e-6)


if __name__ == "__main__":
    unittest.main()
