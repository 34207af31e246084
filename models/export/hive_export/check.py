"""Runs exported graphs on onnxruntime against the checkpoint on transformers (PyTorch).

The inputs are seeded noise in ragged batches of two, so that a check also covers masks, positions,
the past, and that a padded item equals a single one.
"""

from pathlib import Path

import numpy as np

from .errors import ExportError

#: The largest error, relative to the largest magnitude of the reference, that is written.
TOLERANCE = 1e-3


def relative_error(found: np.ndarray, reference: np.ndarray) -> float:
    """Largest difference over the reference's largest magnitude; infinite where shapes or NaNs differ."""
    if found.shape != reference.shape or not np.all(np.isfinite(found)):
        return float("inf")
    return float(np.max(np.abs(found - reference)) / max(np.max(np.abs(reference)), 1e-9))


class Session:
    """An exported graph on onnxruntime."""

    def __init__(self, path: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.outputs = [value.name for value in self.session.get_outputs()]

    def run(self, **inputs) -> dict:
        """Outputs by name."""
        feed = {name: value if value.dtype == np.int64 else value.astype(np.float32) for name, value in inputs.items()}
        return dict(zip(self.outputs, self.session.run(None, feed)))


def load_reference(kind: str, directory: Path):
    """The checkpoint as transformers loads it."""
    import transformers

    # Only the plain form of attention gives Whisper's alignment.
    cls = getattr(transformers, kind)
    extra = {} if kind == "VitsModel" else {"attn_implementation": "eager"}
    transformers.logging.set_verbosity_error()
    try:
        model = cls.from_pretrained(str(directory), local_files_only=True, **extra)
    except Exception as error:  # whatever transformers raises means that it cannot serve as the reference
        raise ExportError(
            directory, f"is not loaded by transformers ({error})", "mend the checkpoint, or export with --no-check"
        ) from error
    return model.float().eval()


def shorten_window(model, frames: int, full) -> None:
    """Makes a transformers Whisper accept windows of 2 * `frames` mel frames: its encoder takes full
    windows only, though nothing but its table of positions depends on their length."""
    import torch

    model.model.encoder.embed_positions = torch.nn.Embedding.from_pretrained(full[:frames])
    model.config.max_source_positions = frames


def causal_mask(steps: int, past: list, longest: int) -> np.ndarray:
    """[B,1,T,P+T]: pasts of the lengths `past` padded at their end to `longest`, then T causal steps."""
    mask = np.zeros((len(past), 1, steps, longest + steps), np.float32)
    for item, length in enumerate(past):
        mask[item, :, :, length:longest] = -1e9
    mask[:, :, :, longest:] += np.triu(np.full((steps, steps), -1e9, np.float32), 1)
    return mask


def source_mask(lengths: list) -> np.ndarray:
    """[B,1,1,S] additive."""
    longest = max(lengths)
    return np.stack([np.where(np.arange(longest) < n, 0.0, -1e9)[None, None] for n in lengths]).astype(np.float32)


def _decode(decoder: Session, ids: np.ndarray, split: list, cross: dict, cross_mask: np.ndarray, dims) -> dict:
    """Feeds ids[B,T] in two parts; item b's first part is split[b] tokens, so that pasts are ragged."""
    layers, heads, head_dim = dims
    batch, total = ids.shape
    rest = total - max(split)
    longest = max(split)
    first = np.zeros((batch, longest), np.int64)
    for b, n in enumerate(split):
        first[b, :n] = ids[b, :n]
    empty = {f"past_{k}.{i}": np.zeros((batch, heads, 0, head_dim), np.float32) for i in range(layers) for k in "kv"}
    positions = np.tile(np.arange(longest), (batch, 1))
    a = decoder.run(
        ids=first, positions=positions, mask=causal_mask(longest, [0] * batch, 0), cross_mask=cross_mask, **empty, **cross
    )
    second = np.stack([ids[b, n : n + rest] for b, n in enumerate(split)])
    positions = np.stack([np.arange(n, n + rest) for n in split])
    past = {f"past_{k}.{i}": a[f"present_{k}.{i}"] for i in range(layers) for k in "kv"}
    b = decoder.run(
        ids=second, positions=positions, mask=causal_mask(rest, split, longest), cross_mask=cross_mask, **past, **cross
    )
    return {"first": a, "second": b, "rest": rest}


def check_whisper(directory: Path, out: Path, config: dict) -> dict:
    """Worst relative errors of logits and alignment."""
    import torch

    rng = np.random.default_rng(1)
    frames = [min(n, config["max_source_positions"]) for n in (48, 31)]
    longest = max(frames)
    mel = np.zeros((2, config["n_mels"], 2 * longest), np.float32)
    frame_mask = np.zeros((2, 1, 2 * longest), np.float32)
    for b, n in enumerate(frames):
        mel[b, :, : 2 * n] = rng.standard_normal((config["n_mels"], 2 * n))
        frame_mask[b, :, : 2 * n] = 1
    mask = source_mask(frames)
    cross = Session(out / "encoder.onnx").run(mel=mel, frame_mask=frame_mask, mask=mask)
    ids = rng.integers(0, config["vocab_size"], (2, 9))
    split = [6, 4]
    dims = config["layers"], config["heads"], config["head_dim"]
    found = _decode(Session(out / "decoder.onnx"), ids, split, cross, mask, dims)
    model = load_reference("WhisperForConditionalGeneration", directory)
    full = model.model.encoder.embed_positions.weight.detach()
    errors = {"logits": 0.0, "alignment": 0.0}
    for b, (frame_count, n) in enumerate(zip(frames, split)):
        shorten_window(model, frame_count, full)
        with torch.no_grad():
            reference = model(
                input_features=torch.from_numpy(mel[b : b + 1, :, : 2 * frame_count]),
                decoder_input_ids=torch.from_numpy(ids[b : b + 1, : n + found["rest"]]),
                output_attentions=True,
                use_cache=False,
            )
        attention = torch.stack([reference.cross_attentions[layer][0, head] for layer, head in config["alignment_heads"]])
        for part, rows in (("first", slice(0, n)), ("second", slice(n, n + found["rest"]))):
            count = rows.stop - rows.start
            logits = found[part]["logits"][b, :count]
            aligned = found[part]["alignment"][b, :, :count, :frame_count]
            errors["logits"] = max(errors["logits"], relative_error(logits, reference.logits[0, rows].numpy()))
            errors["alignment"] = max(errors["alignment"], relative_error(aligned, attention[:, rows].numpy()))
    return errors


def check_marian(directory: Path, out: Path, config: dict) -> dict:
    """Worst relative error of the logits."""
    import torch

    rng = np.random.default_rng(2)
    lengths = [13, 8]
    ids = np.full((2, max(lengths)), config["pad"], np.int64)
    for b, n in enumerate(lengths):
        ids[b, :n] = rng.integers(0, config["source_vocab_size"], n)
    mask = source_mask(lengths)
    cross = Session(out / "encoder.onnx").run(ids=ids, mask=mask)
    target = rng.integers(0, config["vocab_size"], (2, 9))
    split = [6, 4]
    dims = config["layers"], config["heads"], config["head_dim"]
    found = _decode(Session(out / "decoder.onnx"), target, split, cross, mask, dims)
    model = load_reference("MarianMTModel", directory)
    error = 0.0
    for b, n in enumerate(split):
        with torch.no_grad():
            reference = model(
                input_ids=torch.from_numpy(ids[b : b + 1, : lengths[b]]),
                attention_mask=torch.ones(1, lengths[b], dtype=torch.long),
                decoder_input_ids=torch.from_numpy(target[b : b + 1, : n + found["rest"]]),
                use_cache=False,
            ).logits[0].numpy()
        for part, rows in (("first", slice(0, n)), ("second", slice(n, n + found["rest"]))):
            error = max(error, relative_error(found[part]["logits"][b, : rows.stop - rows.start], reference[rows]))
    return {"logits": error}


def vits_halves(model, ids, mask, noise, speaker):
    """mean, log_variance and log_duration of a transformers VITS for a given noise, as PyTorch tensors.

    The model draws its noise itself; the two draws of a call are replaced by the given one.
    """
    import torch

    padding = mask.unsqueeze(-1).float()
    output = model.text_encoder(input_ids=ids, padding_mask=padding, attention_mask=mask, return_dict=True)
    condition = None if speaker is None else model.embed_speaker(speaker).unsqueeze(-1)
    hidden = output.last_hidden_state.transpose(1, 2)
    if model.config.use_stochastic_duration_prediction:
        draw, torch.randn = torch.randn, lambda *_, **__: noise
        try:
            log_duration = model.duration_predictor(
                hidden, padding.transpose(1, 2), condition, reverse=True, noise_scale=1.0
            )
        finally:
            torch.randn = draw
    else:
        log_duration = model.duration_predictor(hidden, padding.transpose(1, 2), condition)
    return output.prior_means, output.prior_log_variances, log_duration


def check_vits(directory: Path, out: Path, config: dict) -> dict:
    """Worst relative errors of the text half, and of the waveform."""
    import torch

    rng = np.random.default_rng(3)
    model = load_reference("VitsModel", directory)
    lengths = [21, 12]
    ids = np.zeros((2, max(lengths)), np.int64)
    mask = np.zeros((2, max(lengths)), np.float32)
    for b, n in enumerate(lengths):
        ids[b, :n] = rng.integers(0, config["vocab_size"], n)
        mask[b, :n] = 1
    noise = (3 * rng.standard_normal((2, 2, max(lengths)))).astype(np.float32)  # also beyond the splines
    speakers = np.array([0, config["num_speakers"] - 1], np.int64)
    extra = {"speaker": speakers} if config["num_speakers"] > 1 else {}
    drawn = {"noise": noise} if config["stochastic_durations"] else {}
    found = Session(out / "text.onnx").run(ids=ids, mask=mask, **drawn, **extra)
    errors = {"mean": 0.0, "log_variance": 0.0, "log_duration": 0.0, "waveform": 0.0}
    decoder = Session(out / "decoder.onnx")
    for b, n in enumerate(lengths):
        speaker = torch.from_numpy(speakers[b : b + 1]) if extra else None
        with torch.no_grad():
            reference = vits_halves(
                model,
                torch.from_numpy(ids[b : b + 1, :n]),
                torch.ones(1, n, dtype=torch.long),
                torch.from_numpy(noise[b : b + 1, :, :n]),
                speaker,
            )
        for name, value in zip(("mean", "log_variance", "log_duration"), reference):
            mine = found[name][b : b + 1, :, :n] if name == "log_duration" else found[name][b : b + 1, :n]
            errors[name] = max(errors[name], relative_error(mine, value.numpy()))
        frames = 17 + b
        latent = rng.standard_normal((1, config["channels"], frames)).astype(np.float32)
        ones = np.ones((1, 1, frames), np.float32)
        one = {"speaker": speakers[b : b + 1]} if extra else {}
        with torch.no_grad():
            condition = None if speaker is None else model.embed_speaker(speaker).unsqueeze(-1)
            spectrogram = model.flow(torch.from_numpy(latent), torch.from_numpy(ones), condition, reverse=True)
            waveform = model.decoder(spectrogram, condition).squeeze(1).numpy()
        mine = decoder.run(latent=latent, frame_mask=ones, **one)["waveform"]
        errors["waveform"] = max(errors["waveform"], relative_error(mine, waveform))
    return errors


def refuse(errors: dict, directory: Path) -> None:
    """Fails where an error is too large."""
    worst = max(errors, key=errors.get)
    if not errors[worst] <= TOLERANCE:
        raise ExportError(
            directory,
            f"its export differs from transformers by {errors[worst]:.2g} in {worst}, more than {TOLERANCE:g}",
            "nothing was written: the checkpoint is of a variant that the exporter does not know; report it",
        )
