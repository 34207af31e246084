"""`python -m hive_reference`: checkpoints of noise, their exports, and what transformers makes of them."""

import argparse
import hashlib
import json
import shutil
import sys
import time
import warnings
from pathlib import Path

import torch
import transformers

DESCRIPTION = """\
Makes, for each NAME, OUT_DIR/NAME/checkpoint (random weights from a seed, in the layout of the published
models), OUT_DIR/NAME/model (its export by hive_export) and OUT_DIR/NAME/reference.json with reference.bin
(inputs, and what transformers computes from them). What is there already and still up to date is kept."""


def fingerprint() -> str:
    """A hash of the code that all of this comes from."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).resolve().parents[1].glob("hive_*/*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def make(name: str, out: Path, count: int, beams: int) -> None:
    """Everything for one name."""
    from hive_export.__main__ import export
    from hive_export.__main__ import parser as export_parser

    from . import checkpoints, marian, vits, whisper

    directory = out / name
    stamp = directory / ".stamp"
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    wanted = json.dumps({"code": fingerprint(), "count": count, "beams": beams, **versions})
    if stamp.is_file() and stamp.read_text() == wanted:
        print(f"{name}: up to date", flush=True)
        return
    begin = time.monotonic()
    shutil.rmtree(directory, ignore_errors=True)
    family = checkpoints.SHAPES[name].family
    checkpoints.make(name, directory / "checkpoint")
    errors = export(export_parser().parse_args([family, str(directory / "checkpoint"), str(directory / "model"), "--name", name]))
    manifest = json.loads((directory / "model" / "model.json").read_text())
    module = {"whisper": whisper, "marian": marian, "vits": vits}[family]
    store = module.reference(directory / "checkpoint", manifest, count, beams)
    store.facts.update(versions)
    store.save(directory / "reference")
    stamp.write_text(wanted)
    worst = ", ".join(f"{key} {value:.1e}" for key, value in errors.items())
    print(
        f"{name}: {time.monotonic() - begin:.1f} s; onnxruntime differs from PyTorch by {worst}; "
        f"{store.facts['near_ties']} inputs passed over as near ties",
        flush=True,
    )


def main() -> int:
    """Exit status."""
    from . import checkpoints

    parser = argparse.ArgumentParser(
        prog="python -m hive_reference", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", metavar="OUT_DIR", type=Path, help="where; some 350 MB for each of the real sizes")
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"which (default: all): {', '.join(checkpoints.SHAPES)}")
    parser.add_argument("--greedy", type=int, default=50, help="greedily decoded inputs of Whisper and Marian (default: 50)")
    parser.add_argument("--beam", type=int, default=20, help="of them also decoded with four beams (default: 20)")
    options = parser.parse_args()
    for name in options.names:
        if name not in checkpoints.SHAPES:
            parser.error(f"no checkpoint is called {name!r}: choose from {', '.join(checkpoints.SHAPES)}")
    # Deprecations inside transformers and torch.
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    # One thread: the products of a decoding step are too small for two, which wait for each other.
    torch.set_num_threads(1)
    for name in options.names or checkpoints.SHAPES:
        make(name, options.out, options.greedy, options.beam)
    return 0


if __name__ == "__main__":
    sys.exit(main())
