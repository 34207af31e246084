"""Writes a model directory: graphs, tokenizer files and `model.json` with sizes and hashes."""

import hashlib
import json
import shutil
from pathlib import Path

import onnx

from . import CONTRACT, __version__
from .errors import ExportError
from .graph import transposed_weights

MANIFEST = "model.json"


def prepare(out: Path) -> Path:
    """An empty directory beside `out`, to be renamed when all is written and checked."""
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ExportError(out, "is not an empty directory", "name a new one, or remove it first")
    draft = out.with_name(f".{out.name}.unfinished")
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(parents=True)
    return draft


def write_graphs(graphs: dict, directory: Path) -> list:
    """Writes the graphs; returns their files."""
    written = []
    for name, graph in graphs.items():
        written += graph.save(directory / name)
        turned = transposed_weights(onnx.load(str(directory / name), load_external_data=False))
        if turned:
            raise ExportError(directory / name, f"transposes {turned[0]} at run time", "report this as a bug of the exporter")
    return written


def write_files(files: dict, directory: Path) -> list:
    """Writes the other files of a model."""
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return [directory / name for name in files]


def describe(path: Path) -> dict:
    """Size and SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return {"sha256": digest.hexdigest(), "bytes": path.stat().st_size}


def write_manifest(directory: Path, *, family: str, name: str, source: str, licence: str, languages: dict, config: dict) -> None:
    """Writes `model.json` over every file in the directory."""
    files = {path.name: describe(path) for path in sorted(directory.iterdir()) if path.name != MANIFEST}
    manifest = {
        "contract": CONTRACT,
        "family": family,
        "name": name,
        "source": source,
        "licence": licence,
        "exporter": __version__,
        **languages,
        "files": files,
        "config": config,
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (directory / MANIFEST).write_text(text, encoding="utf-8")


def finish(draft: Path, out: Path) -> None:
    """Puts a finished draft in its place."""
    out = Path(out)
    if out.exists():
        out.rmdir()
    draft.rename(out)


def discard(draft: Path) -> None:
    """Removes an unfinished draft."""
    shutil.rmtree(draft, ignore_errors=True)
