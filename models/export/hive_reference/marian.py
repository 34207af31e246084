"""Marian's reference: tokenised text, logits, and translations.

- `texts`: `{text, ids, decoded}`: the source's ids with the end token, and what those ids say as target text.
- `logits`: `{source, ids, logits}`: source ids, decoder ids, logits[T,V].
- `greedy`, `beam`: `{text, source, ids, decoded}`: target ids after the start token, with the end token.
"""

from pathlib import Path

import numpy as np
import torch

from hive_export.check import load_reference

from .decoding import NEAR_TIE, beam, greedy, shaken
from .store import Store
from .tokenizers import sentences

MAX_LENGTH = 18
#: What tokenizers tend to differ in.
_AWKWARD = ["", " ", "  two  spaces ", "Tab\tand\nline", "¿Qué? ½ ﬁ ＡＢＣ", "naïve Ünïcödé 東京 🎧", "1,000.5 e-mail@host a/b_c", "it's — “quoted”…"]


@torch.no_grad()
def reference(checkpoint: Path, manifest: dict, count: int, beams: int, seed: int = 8) -> Store:
    """Everything, for a checkpoint and the manifest of its export."""
    from transformers import MarianTokenizer

    config = manifest["config"]
    rng = np.random.default_rng(seed)
    store = Store(family="marian", texts=[], logits=[], greedy=[], beam=[], near_ties=0)
    tokenizer = MarianTokenizer.from_pretrained(str(checkpoint))

    def encode(text: str) -> list:
        return tokenizer(text).input_ids

    def decode(ids: list) -> str:
        return tokenizer.decode(ids, skip_special_tokens=True)

    words = [word for line in sentences() for word in line.split()]

    def phrase() -> str:
        start = int(rng.integers(0, len(words) - 30))
        return " ".join(words[start : start + int(rng.integers(2, 20))])

    for text in _AWKWARD + [phrase() for _ in range(20)]:
        ids = encode(text)
        within = [i for i in ids if i < config["vocab_size"]]
        store.facts["texts"].append({"text": text, "ids": ids, "decoded_ids": within, "decoded": decode(within)})
    model = load_reference("MarianMTModel", checkpoint)
    for n, length in enumerate((1, 5, 12)):
        source = encode(phrase())
        ids = [config["decoder_start"], *rng.integers(0, config["vocab_size"] - 1, length - 1).tolist()]
        output = model(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([ids]), use_cache=False)
        store.facts["logits"].append(
            {"source": source, "ids": ids, "logits": store.add(f"logits.{n}.logits", output.logits[0])}
        )
    other = shaken(model)

    def generator(translator, source: list):
        def generate(**extra):
            # The checkpoint's own settings: banned padding, forced end, renormalised scores.
            result = translator.generate(
                torch.tensor([source]), max_length=MAX_LENGTH, do_sample=False, length_penalty=config["length_penalty"],
                early_stopping=config["early_stopping"], **extra,
            )
            result.sequences = result.sequences[:, 1:]
            return result

        return generate

    def case(kind: str) -> None:
        text = phrase()
        source = encode(text)
        if kind == "beam":
            ids = beam(generator(model, source))
            facts, tie = {}, ids != beam(generator(other, source))
        else:
            ids, margin = greedy(generator(model, source))
            facts, tie = {"margin": margin}, margin < NEAR_TIE
        if tie:
            store.facts["near_ties"] += 1
        else:
            store.facts[kind].append({"text": text, "source": source, "ids": ids, "decoded": decode(ids), **facts})

    for kind, wanted in (("greedy", count), ("beam", beams)):
        while len(store.facts[kind]) < wanted:
            case(kind)
    store.facts["settings"] = {"max_length": MAX_LENGTH, "num_beams": 4}
    return store
