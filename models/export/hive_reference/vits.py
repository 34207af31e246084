"""VITS's reference: symbols, the text half, durations and the waveform for given noise.

`cases`: `{text, ids, speaker, noise, mean, log_variance, log_duration, durations, latent_noise, latent, waveform}`.
noise[2,N] is multiplied by noise_scale_duration already, as `text.onnx` wants it; latent_noise[C,F] is not
multiplied by noise_scale; latent[C,F] is the sample of the prior that `decoder.onnx` takes.
"""

from pathlib import Path

import numpy as np
import torch

from hive_export.check import load_reference, vits_halves

from .store import Store

_TEXTS = ["Hola.", "¿Qué tal?", "Buenos días a todos", "La lluvia en Sevilla es una maravilla", "Él dijo: «no», y se fue"]


class _Noise:
    """Stands in for PyTorch's generators during one call of the model, and keeps what it gave."""

    def __init__(self, rng, pairs: torch.Tensor):
        self.rng, self.pairs, self.latent = rng, pairs, None

    def __enter__(self):
        self.kept = torch.randn, torch.randn_like
        torch.randn = lambda *_, **__: self.pairs
        torch.randn_like = self._latent
        return self

    def _latent(self, like, **_):
        self.latent = torch.from_numpy(self.rng.standard_normal(tuple(like.shape)).astype(np.float32))
        return self.latent

    def __exit__(self, *_):
        torch.randn, torch.randn_like = self.kept


@torch.no_grad()
def reference(checkpoint: Path, manifest: dict, count: int, beams: int, seed: int = 9) -> Store:
    """Everything, for a checkpoint and the manifest of its export; `count` and `beams` say nothing here."""
    from transformers import VitsTokenizer

    config = manifest["config"]
    rng = np.random.default_rng(seed)
    store = Store(family="vits", cases=[], near_ties=0)
    tokenizer = VitsTokenizer.from_pretrained(str(checkpoint))
    model = load_reference("VitsModel", checkpoint)
    while len(store.facts["cases"]) < len(_TEXTS):
        n = len(store.facts["cases"])
        ids = tokenizer(_TEXTS[n], return_tensors="pt").input_ids
        mask = torch.ones_like(ids)
        speaker = int(rng.integers(0, config["num_speakers"])) if config["num_speakers"] > 1 else None
        column = None if speaker is None else torch.tensor([speaker])
        pairs = torch.from_numpy(rng.standard_normal((1, 2, ids.shape[1])).astype(np.float32))
        scaled = pairs * config["noise_scale_duration"]
        mean, log_variance, log_duration = vits_halves(model, ids, mask, scaled, column)
        exact = torch.exp(log_duration) / config["speaking_rate"]
        if (exact - exact.round()).abs().min() < 1e-4:
            # A duration on the edge of a frame: rounding decides.
            store.facts["near_ties"] += 1
            continue
        durations = torch.ceil(exact)[0, 0].long()
        with _Noise(rng, pairs) as noise:
            output = model(input_ids=ids, attention_mask=mask, speaker_id=speaker)
        latent_noise = noise.latent
        spread = torch.exp(torch.repeat_interleave(log_variance[0], durations, 0).t())
        latent = torch.repeat_interleave(mean[0], durations, 0).t() + latent_noise[0] * spread * config["noise_scale"]
        tensors = dict(
            noise=scaled[0], mean=mean[0], log_variance=log_variance[0], log_duration=log_duration[0, 0],
            durations=durations, latent_noise=latent_noise[0], latent=latent, waveform=output.waveform[0],
        )
        store.facts["cases"].append(
            {
                "text": _TEXTS[n], "ids": ids[0].tolist(), "speaker": speaker,
                **{name: store.add(f"cases.{n}.{name}", value) for name, value in tensors.items()},
            }
        )
    return store
