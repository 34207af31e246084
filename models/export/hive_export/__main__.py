"""`python -m hive_export`: one command a family."""

import argparse
import sys
import time
from pathlib import Path

from . import __version__, check, package
from .errors import ExportError
from .marian import Marian
from .piper import VOICE, Piper
from .vits import Vits
from .whisper import Whisper

DESCRIPTION = """\
Turns a checkpoint on this disk into a model directory that HIVE runs: ONNX graphs, the tokenizer's
files, and model.json with what HIVE needs to know, sizes and SHA-256 sums. Downloads nothing.

Each export is run on onnxruntime and compared with transformers (PyTorch) before it is put in place;
one that differs by more than 0.001 of the largest value is refused, and nothing is written."""

FAMILIES = {
    "whisper": (
        Whisper,
        check.check_whisper,
        "speech recognition: a Whisper checkpoint of any size",
        "A directory with config.json, the weights (model.safetensors or pytorch_model.bin, sharded or not), "
        "tokenizer.json (or vocab.json and merges.txt) and, where there are, generation_config.json and "
        "preprocessor_config.json.",
    ),
    "marian": (
        Marian,
        check.check_marian,
        "translation: a Marian checkpoint, such as OPUS-MT's",
        "A directory with config.json, the weights (model.safetensors or pytorch_model.bin), source.spm, target.spm, "
        "vocab.json (and target_vocab.json where the vocabularies are separate).",
    ),
    "vits": (
        Vits,
        check.check_vits,
        "speech synthesis: a VITS checkpoint, such as MMS-TTS's",
        "A directory with config.json, the weights (model.safetensors or pytorch_model.bin), vocab.json and "
        "tokenizer_config.json.",
    ),
    "piper": (
        Piper,
        None,
        "speech synthesis: a Piper voice, taken whole",
        "NAME.onnx with NAME.onnx.json beside it, or the directory that holds the two. The graph of a Piper voice "
        "cannot be divided into HIVE's two graphs: it is checked and copied as voice.onnx, and model.json lists "
        "those of its operators that tract may not run. There is nothing to compare it with, so --no-check "
        "changes nothing.",
    ),
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m hive_export", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--version", action="version", version=f"hive_export {__version__}")
    commands = top.add_subparsers(dest="family", required=True, metavar="FAMILY")
    for family, (_, _, summary, needs) in FAMILIES.items():
        command = commands.add_parser(family, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        command.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, help=needs)
        command.add_argument("out", metavar="OUT_DIR", type=Path, help="the model directory to make; new, or empty")
        command.add_argument("--name", help="the model's name in HIVE's configuration (default: OUT_DIR's last part)")
        command.add_argument("--source", help="where the checkpoint comes from (default: what config.json says)")
        command.add_argument("--licence", help="its licence (default: what its README.md says, else `unknown`)")
        command.add_argument(
            "--check",
            action=argparse.BooleanOptionalAction,
            default=True,
            help="compare with transformers before writing (default). --no-check needs neither transformers nor "
            "onnxruntime, and memory for one copy of the weights instead of three",
        )
        if family == "marian":
            command.add_argument(
                "--pair", metavar="SOURCE-TARGET", help="the languages, such as en-es (default: what the tokenizer says)"
            )
        if family in ("vits", "piper"):
            command.add_argument("--language", help="the language spoken, such as es (default: what the checkpoint says)")
    return top


def export(options: argparse.Namespace) -> dict:
    """Writes the model directory; returns the errors that the check found."""
    kind, checker, _, _ = FAMILIES[options.family]
    model = kind(options.checkpoint)
    draft = package.prepare(options.out)
    try:
        config, languages = model.config(), model.languages(options)
        errors = {}
        if isinstance(model, Piper):
            package.write_files({VOICE: model.path.read_bytes()}, draft)
            described = model
        else:
            package.write_graphs(model.graphs(), draft)
            package.write_files(model.files(), draft)
            described = model.checkpoint
            if options.check:
                errors = checker(options.checkpoint, draft, config)
                check.refuse(errors, options.checkpoint)
        package.write_manifest(
            draft,
            family=model.family,
            name=options.name or options.out.resolve().name,
            source=options.source or described.source(),
            licence=options.licence or described.licence(),
            languages=languages,
            config=config,
        )
        package.finish(draft, options.out)
    except BaseException:
        package.discard(draft)
        raise
    return errors


def main(arguments: list | None = None) -> int:
    """Exit status: 0 written, 1 refused."""
    options = parser().parse_args(arguments)
    begin = time.monotonic()
    try:
        errors = export(options)
    except ExportError as error:
        print(f"hive_export: {error}", file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in options.out.iterdir()) / 1e6
    print(f"{options.out}: {size:.1f} MB in {time.monotonic() - begin:.1f} s")
    for name, error in errors.items():
        print(f"  {name}: differs from transformers by {error:.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
