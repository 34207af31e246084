"""Reference files that Rust reads without a library for NumPy's formats.

NAME.json is one object: `tensors` maps a name to `{"dtype": "f32" | "i64", "shape": [...],
"offset": bytes}`, and the other keys are what each family's module says. NAME.bin holds the
tensors, row-major and little-endian, each at its offset, a multiple of eight.
"""

import json
from pathlib import Path

import numpy as np

_KINDS = {"f": ("f32", "<f4"), "i": ("i64", "<i8"), "u": ("i64", "<i8"), "b": ("i64", "<i8")}


class Store:
    """Collects tensors and facts, and writes them."""

    def __init__(self, **facts):
        self.facts = facts
        self._tensors = {}
        self._parts = []
        self._offset = 0

    def add(self, name: str, value) -> str:
        """Keeps a tensor; returns its name."""
        array = np.asarray(value.detach().numpy() if hasattr(value, "detach") else value)
        dtype, stored = _KINDS[array.dtype.kind]
        content = np.ascontiguousarray(array).astype(stored).tobytes()
        content += bytes(-len(content) % 8)
        self._tensors[name] = {"dtype": dtype, "shape": list(array.shape), "offset": self._offset}
        self._parts.append(content)
        self._offset += len(content)
        return name

    def save(self, prefix: Path) -> None:
        """Writes PREFIX.json and PREFIX.bin."""
        prefix.with_name(prefix.name + ".bin").write_bytes(b"".join(self._parts))
        text = json.dumps({**self.facts, "tensors": self._tensors}, ensure_ascii=False, indent=1)
        prefix.with_name(prefix.name + ".json").write_text(text + "\n", encoding="utf-8")
