"""A Hugging Face checkpoint directory: its JSON files and its weights, as float32 arrays."""

import json
from pathlib import Path

import numpy as np

from .errors import ExportError

SAFETENSORS = "model.safetensors"
PICKLE = "pytorch_model.bin"


class Checkpoint:
    """Reads one checkpoint; every failure is an `ExportError` that names the file."""

    def __init__(self, directory: Path, model_type: str, family: str):
        self.directory = Path(directory)
        if not self.directory.is_dir():
            raise ExportError(self.directory, "is not a directory", "name the folder that holds config.json")
        self.config = self.json("config.json")
        found = self.config.get("model_type")
        if found != model_type:
            command = {"whisper": "whisper", "marian": "marian", "vits": "vits"}.get(found)
            remedy = (
                f"run `python -m hive_export {command}` instead"
                if command
                else "HIVE runs Whisper, Marian and VITS checkpoints only"
            )
            raise ExportError(
                self.directory / "config.json", f"holds a model of type {found!r}, not {family}", remedy
            )
        self._weights = None

    def path(self, name: str) -> Path:
        """Where a file of the checkpoint is, whether it exists or not."""
        return self.directory / name

    def require(self, name: str, purpose: str) -> Path:
        """A file that must exist."""
        path = self.path(name)
        if not path.is_file():
            raise ExportError(path, "is missing", f"it {purpose}: copy it from where the checkpoint comes from")
        return path

    def json(self, name: str) -> dict:
        """A JSON object that must exist."""
        path = self.require(name, "is part of every checkpoint of this family")
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, UnicodeDecodeError) as error:
            raise ExportError(path, f"is not JSON ({error})", "download it again") from error
        if not isinstance(value, dict):
            raise ExportError(path, "is not a JSON object", "download it again")
        return value

    def optional_json(self, name: str) -> dict:
        """A JSON object, empty where the file is absent."""
        return self.json(name) if self.path(name).is_file() else {}

    def setting(self, *names: str):
        """A required value of config.json, under the first of its names that is there."""
        for name in names:
            if self.config.get(name) is not None:
                return self.config[name]
        raise ExportError(
            self.path("config.json"),
            f"has no {names[0]!r}",
            "it is not a configuration of this family, or was cut short: download it again",
        )

    def expect(self, name: str, allowed: tuple, default) -> None:
        """Refuses a setting whose meaning the exporter does not know."""
        value = self.config.get(name, default)
        if value not in allowed:
            raise ExportError(
                self.path("config.json"),
                f"has {name} = {value!r}",
                f"the exporter knows {', '.join(map(repr, allowed))} only",
            )

    # ---- weights

    @property
    def weights(self) -> dict:
        """Every tensor by its name, read at first use."""
        if self._weights is None:
            self._weights = self._read_weights()
        return self._weights

    def _read_weights(self) -> dict:
        for name in (SAFETENSORS, PICKLE):
            if self.path(name).is_file():
                return self._read_file(self.path(name))
            index = self.path(name + ".index.json")
            if index.is_file():
                tensors = {}
                for shard in sorted(set(self.json(index.name).get("weight_map", {}).values())):
                    tensors.update(self._read_file(self.require(shard, f"is named by {index.name}")))
                return tensors
        raise ExportError(
            self.directory,
            f"has neither {SAFETENSORS} nor {PICKLE}",
            "copy the PyTorch weights into it (TensorFlow, Flax and GGML weights are not read)",
        )

    @staticmethod
    def _read_file(path: Path) -> dict:
        try:
            if path.suffix == ".safetensors":
                from safetensors.torch import load_file

                return dict(load_file(str(path)))
            import torch

            # weights_only: a pickle could otherwise run code of its own.
            return dict(torch.load(str(path), map_location="cpu", weights_only=True))
        except ExportError:
            raise
        except Exception as error:  # each reader has errors of its own; all mean the same to the user
            raise ExportError(path, f"cannot be read ({error})", "it is truncated or damaged: download it again") from error

    def has(self, name: str) -> bool:
        """Whether there is such a tensor."""
        return name in self.weights

    def tensor(self, name: str, shape: tuple | None = None) -> np.ndarray:
        """A tensor as float32, checked against the shape that config.json implies (None: any length)."""
        if name not in self.weights:
            raise ExportError(
                self.directory,
                f"has no weight {name!r}",
                "config.json and the weights are not of one model, or the weights are incomplete",
            )
        array = np.ascontiguousarray(self.weights[name].detach().float().numpy())
        if shape is not None and (
            array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape))
        ):
            raise ExportError(
                self.directory,
                f"has {name!r} of shape {list(array.shape)} where config.json implies {list(shape)}",
                "config.json and the weights are not of one model",
            )
        return array

    def convolution(self, name: str) -> np.ndarray:
        """A convolution's weight, with weight normalisation (Salimans and Kingma, 2016) folded in."""
        for gain, direction in (
            (f"{name}.weight_g", f"{name}.weight_v"),
            (f"{name}.parametrizations.weight.original0", f"{name}.parametrizations.weight.original1"),
        ):
            if self.has(gain):
                v = self.tensor(direction)
                norm = np.sqrt(np.sum(v.astype(np.float64) ** 2, axis=tuple(range(1, v.ndim)), keepdims=True))
                return (self.tensor(gain) * v / norm).astype(np.float32)
        return self.tensor(f"{name}.weight")

    # ---- what the manifest says of it

    def licence(self) -> str:
        """The licence in the model card's front matter, or `unknown`."""
        card = self.path("README.md")
        if card.is_file():
            lines = card.read_text(encoding="utf-8", errors="replace").splitlines()
            if lines and lines[0].strip() == "---":
                for line in lines[1:]:
                    if line.strip() == "---":
                        break
                    if line.startswith("license:"):
                        return line.split(":", 1)[1].strip().strip("'\"") or "unknown"
        return "unknown"

    def source(self) -> str:
        """The name it was published under, as far as config.json knows."""
        name = self.config.get("_name_or_path") or ""
        return name if name and not name.startswith((".", "/")) else self.directory.resolve().name
