"""Whisper's reference: features, logits, and decoded windows.

- `features`: `{audio, mel, samples}`: audio[n] at 16 kHz, mel[M,T] of the window padded to its full length.
- `logits`: `{mel, ids, logits, alignment}`: mel[M,2S] of a short window, ids[T], logits[T,V], alignment[A,T,S].
- `greedy`, `timestamps`, `beam`: `{mel, prompt, ids}`: ids without the prompt, with the end token where it came;
  `timestamps` follows Whisper's rules for them.
"""

from pathlib import Path

import numpy as np
import torch

from hive_export.check import load_reference, shorten_window

from .decoding import NEAR_TIE, beam, greedy, shaken
from .store import Store

MAX_NEW_TOKENS = 14


def _audio(rng, seconds: float) -> np.ndarray:
    """A gliding hum with harmonics, pauses and noise, as float32 in -1..1."""
    n = int(seconds * 16000)
    t = np.arange(n) / 16000
    pitch = 120 + 60 * np.sin(2 * np.pi * rng.uniform(0.3, 1.0) * t)
    phase = 2 * np.pi * np.cumsum(pitch) / 16000
    voiced = np.sin(2 * np.pi * rng.uniform(1.0, 3.0) * t) > -0.3
    hum = sum(np.sin(k * phase) / k for k in range(1, 12)) * voiced
    return (0.2 * hum + 0.01 * rng.standard_normal(n)).astype(np.float32)


def _window(rng, mels: int, frames: int) -> np.ndarray:
    """A made-up mel window [M,2S]: smooth noise with the range of Whisper's features."""
    coarse = rng.standard_normal((mels, frames // 4 + 2))
    smooth = np.repeat(coarse, 8, axis=1)[:, : 2 * frames]
    return np.clip(0.6 * smooth + 0.2 * rng.standard_normal((mels, 2 * frames)), -1.0, 1.5).astype(np.float32)


def _generator(model, config: dict, mel: torch.Tensor, prompt: list, full, timestamps: bool):
    """transformers' plain `generate` on one window. Whisper's own wrapper around it cuts audio into
    windows and falls back on temperature, which are HIVE's business and not the decoder's."""
    from transformers import GenerationConfig, LogitsProcessorList
    from transformers.generation import GenerationMixin
    from transformers.generation.logits_process import WhisperTimeStampLogitsProcessor

    shorten_window(model, mel.shape[2] // 2, full)
    tokens = config["tokens"]
    settings = GenerationConfig(
        eos_token_id=tokens["eot"], bos_token_id=tokens["eot"], pad_token_id=tokens["eot"],
        decoder_start_token_id=tokens["sot"], suppress_tokens=config["suppress_tokens"] or None,
        begin_suppress_tokens=config["begin_suppress_tokens"] or None, max_new_tokens=MAX_NEW_TOKENS, do_sample=False,
        length_penalty=1.0, early_stopping=False,
    )
    settings.no_timestamps_token_id = tokens["no_timestamps"]
    settings.max_initial_timestamp_index = config["max_initial_timestamp_index"]
    model.generation_config = settings
    processors = LogitsProcessorList()
    if timestamps:
        processors.append(WhisperTimeStampLogitsProcessor(settings, begin_index=len(prompt)))

    def generate(**extra):
        result = GenerationMixin.generate(
            model, mel, generation_config=settings, decoder_input_ids=torch.tensor([prompt]),
            logits_processor=processors, **extra,
        )
        result.sequences = result.sequences[:, len(prompt) :]
        return result

    return generate


@torch.no_grad()
def reference(checkpoint: Path, manifest: dict, count: int, beams: int, seed: int = 7) -> Store:
    """Everything, for a checkpoint and the manifest of its export."""
    from transformers import WhisperFeatureExtractor

    config = manifest["config"]
    rng = np.random.default_rng(seed)
    store = Store(family="whisper", features=[], logits=[], greedy=[], timestamps=[], beam=[], near_ties=0)
    extractor = WhisperFeatureExtractor.from_pretrained(str(checkpoint))
    longest = config["max_source_positions"] * 0.02
    for seconds in (0.0, 0.31, 0.5 * longest, longest):
        audio = _audio(rng, seconds) if seconds else np.zeros(1600, np.float32)
        mel = extractor(audio, sampling_rate=16000, return_tensors="np").input_features[0]
        n = len(store.facts["features"])
        store.facts["features"].append(
            {"audio": store.add(f"features.{n}.audio", audio), "mel": store.add(f"features.{n}.mel", mel), "samples": len(audio)}
        )
    model = load_reference("WhisperForConditionalGeneration", checkpoint)
    full = model.model.encoder.embed_positions.weight.detach().clone()
    for n, (frames, length) in enumerate(((37, 5), (100, 8), (64, 1))):
        mel = _window(rng, config["n_mels"], frames)
        ids = rng.integers(0, config["tokens"]["eot"], length)
        shorten_window(model, frames, full)
        output = model(
            input_features=torch.from_numpy(mel)[None], decoder_input_ids=torch.from_numpy(ids)[None],
            output_attentions=True, use_cache=False,
        )
        heads = [output.cross_attentions[layer][0, head] for layer, head in config["alignment_heads"]]
        store.facts["logits"].append(
            {
                "mel": store.add(f"logits.{n}.mel", mel),
                "ids": ids.tolist(),
                "logits": store.add(f"logits.{n}.logits", output.logits[0]),
                "alignment": store.add(f"logits.{n}.alignment", torch.stack(heads)),
            }
        )
    tokens = config["tokens"]
    base = [tokens["sot"], tokens["languages"]["en"], tokens["transcribe"]]
    other = shaken(model)

    def case(kind: str) -> None:
        mel = _window(rng, config["n_mels"], int(rng.integers(20, 120)))
        prompt = base if kind == "timestamps" else [*base, tokens["no_timestamps"]]
        window = torch.from_numpy(mel)[None]
        generate, again = (_generator(m, config, window, prompt, full, kind == "timestamps") for m in (model, other))
        if kind == "beam":
            ids = beam(generate)
            facts, tie = {}, ids != beam(again)
        else:
            ids, margin = greedy(generate)
            facts, tie = {"margin": margin}, margin < NEAR_TIE
        if tie:
            store.facts["near_ties"] += 1
        else:
            name = f"{kind}.{len(store.facts[kind])}.mel"
            store.facts[kind].append({"mel": store.add(name, mel), "prompt": prompt, "ids": ids, **facts})

    for kind, wanted in (("greedy", count), ("timestamps", count // 5), ("beam", beams)):
        while len(store.facts[kind]) < wanted:
            case(kind)
    store.facts["settings"] = {"max_new_tokens": MAX_NEW_TOKENS, "num_beams": 4, "length_penalty": 1.0, "early_stopping": False}
    return store
