"""Makes checkpoints with seeded random weights in the layout of the published ones.

Plain initialisation would make models that repeat one token whatever the source. Here the branches
of each layer outweigh the token before, attention is peaked, and the end token is raised, so that
outputs depend on inputs and hypotheses end at different lengths.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch

from . import tokenizers


@dataclass(frozen=True)
class Shape:
    """What a checkpoint is made of: `settings` for transformers' configuration, and its tokenizer's size."""

    family: str
    settings: dict
    tokens: int
    separate: bool = False


#: Real dimensions, and small ones for quick tests.
SHAPES = {
    "whisper-tiny": Shape(
        "whisper",
        dict(
            d_model=384, encoder_layers=4, decoder_layers=4, encoder_attention_heads=6, decoder_attention_heads=6,
            encoder_ffn_dim=1536, decoder_ffn_dim=1536,
        ),
        50257,
    ),
    # OPUS-MT's dimensions, but for the vocabulary, which has some 60,000 entries there.
    "marian-base": Shape(
        "marian",
        dict(
            d_model=512, encoder_layers=6, decoder_layers=6, encoder_attention_heads=8, decoder_attention_heads=8,
            encoder_ffn_dim=2048, decoder_ffn_dim=2048, max_position_embeddings=512,
        ),
        4000,
    ),
    "whisper-mini": Shape(
        "whisper",
        dict(
            d_model=64, encoder_layers=2, decoder_layers=3, encoder_attention_heads=2, decoder_attention_heads=4,
            encoder_ffn_dim=128, decoder_ffn_dim=96, max_source_positions=200, max_target_positions=64, num_mel_bins=128,
        ),
        1000,
    ),
    "marian-mini": Shape(
        "marian",
        dict(
            d_model=64, encoder_layers=2, decoder_layers=3, encoder_attention_heads=2, decoder_attention_heads=4,
            encoder_ffn_dim=128, decoder_ffn_dim=96, max_position_embeddings=128,
        ),
        1000,
    ),
    "marian-separate": Shape(
        "marian",
        dict(
            d_model=64, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
            encoder_ffn_dim=128, decoder_ffn_dim=128, max_position_embeddings=128,
        ),
        1000,
        separate=True,
    ),
    # The defaults of VitsConfig are MMS-TTS's.
    "vits-mms": Shape("vits", {}, 38),
    "vits-mini": Shape(
        "vits",
        dict(
            hidden_size=32, num_hidden_layers=2, ffn_dim=64, flow_size=32, upsample_initial_channel=32,
            prior_encoder_num_flows=3, posterior_encoder_num_wavenet_layers=1, spectrogram_bins=33,
        ),
        38,
    ),
    "vits-speakers": Shape(
        "vits",
        dict(
            hidden_size=32, num_hidden_layers=2, ffn_dim=64, flow_size=32, upsample_initial_channel=32,
            posterior_encoder_num_wavenet_layers=1, spectrogram_bins=33, num_speakers=5, speaker_embedding_size=16,
        ),
        38,
    ),
    "vits-deterministic": Shape(
        "vits",
        dict(
            hidden_size=32, num_hidden_layers=2, ffn_dim=64, flow_size=32, upsample_initial_channel=32,
            posterior_encoder_num_wavenet_layers=1, spectrogram_bins=33, use_stochastic_duration_prediction=False,
            num_speakers=2, speaker_embedding_size=16,
        ),
        38,
    ),
}


def make(name: str, out: Path, seed: int = 0) -> None:
    """Writes the checkpoint called `name` in SHAPES."""
    shape = SHAPES[name]
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    {"whisper": _whisper, "marian": _marian, "vits": _vits}[shape.family](name, shape, out)
    (out / "README.md").write_text(
        f"---\nlicense: apache-2.0\n---\n# {name}\n\nRandom weights, seed {seed}. It says nothing of any language.\n"
    )


def _write(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


#: Standard deviation of the embeddings.
EMBEDDING = 0.05


#: Directions that the decoder's outputs share, and that are taken out of what its tokens are compared with.
SHARED_DIRECTIONS = 8
#: How often the end token comes, a step.
ENDS = 0.2


@torch.no_grad()
def _spread(embeddings: torch.Tensor, end: int, hidden) -> tuple:
    """Takes out of the embeddings what all of the decoder's outputs have in common, without which they
    would choose the same few tokens. Returns by how much the end token is to be raised, and a vector
    along which that can be done: its product with every output is about one.

    `hidden()` gives outputs [n,d] of the decoder for made-up inputs.
    """
    before = hidden()
    mean = before.mean(0)
    _, _, rest = torch.linalg.svd(before - mean, full_matrices=False)
    basis, _ = torch.linalg.qr(torch.cat([mean[None], rest[: SHARED_DIRECTIONS - 1]]).t())
    embeddings -= embeddings @ basis @ basis.t()
    after = hidden()
    logits = after @ embeddings.t()
    own = logits[:, end].clone()
    logits[:, end] = -math.inf
    lift = torch.quantile(logits.max(1).values - own, ENDS).item()
    direction = basis @ (basis.t() @ after.mean(0))
    return lift, direction / (after @ direction).mean()


@torch.no_grad()
def _scatter(model) -> None:
    """Sharp attention, weak branches, and a last layer of the decoder that outweighs them: the token
    before then reaches the end, but scrambled, so that it is not simply chosen again."""
    last = f"decoder.layers.{model.config.decoder_layers - 1}.fc2"
    for name, parameter in model.named_parameters():
        if "embed_positions" in name or not parameter.requires_grad:
            continue
        if parameter.ndim == 1:
            parameter.normal_(1.0 if "norm" in name and name.endswith("weight") else 0.0, 0.05)
        elif "embed" in name or "shared" in name or "lm_head" in name or "proj_out" in name:
            parameter.normal_(0.0, EMBEDDING)
        else:
            gain = 1.0
            if "q_proj" in name or "k_proj" in name:
                gain = 2.5
            elif last in name:
                gain = 6.0
            elif "encoder_attn.out_proj" in name:
                gain = 0.9
            elif "out_proj" in name or "fc2" in name:
                gain = 0.6
            parameter.normal_(0.0, gain * parameter[0].numel() ** -0.5)


@torch.no_grad()
def _whisper(name: str, shape: Shape, out: Path) -> None:
    from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

    t = tokenizers.whisper(out / "tokenizer.json", shape.tokens)
    config = WhisperConfig(
        vocab_size=t["size"], pad_token_id=t["eot"], bos_token_id=t["eot"], eos_token_id=t["eot"],
        decoder_start_token_id=t["sot"], suppress_tokens=None, begin_suppress_tokens=None, **shape.settings,
    )
    model = WhisperForConditionalGeneration(config).eval()
    _scatter(model)
    model.model.decoder.embed_positions.weight.normal_(0.0, 0.02)
    mel = torch.randn(1, config.num_mel_bins, 2 * config.max_source_positions).clamp(-1.0, 1.5)
    ids = torch.randint(0, t["eot"], (16, 16))

    def hidden() -> torch.Tensor:
        encoded = model.model.encoder(mel).last_hidden_state.expand(16, -1, -1)
        return model.model.decoder(input_ids=ids, encoder_hidden_states=encoded).last_hidden_state.flatten(0, 1)

    embeddings = model.model.decoder.embed_tokens.weight
    lift, direction = _spread(embeddings, t["eot"], hidden)
    embeddings[t["eot"]] += lift * direction
    model.generation_config = GenerationConfig(
        alignment_heads=[[config.decoder_layers - 1, 1], [1, 0], [config.decoder_layers - 1, 0]],
        begin_suppress_tokens=[220, t["eot"]],
        suppress_tokens=[1, 2, 7, 8, 9, 10, 14, 25, t["sot"], t["translate"], t["transcribe"], t["sot_prev"], t["no_speech"]],
        bos_token_id=t["eot"], eos_token_id=t["eot"], pad_token_id=t["eot"], decoder_start_token_id=t["sot"],
        is_multilingual=True, lang_to_id=t["languages"],
        task_to_id={"translate": t["translate"], "transcribe": t["transcribe"]},
        no_timestamps_token_id=t["no_timestamps"], max_initial_timestamp_index=50, max_length=config.max_target_positions,
    )
    model.save_pretrained(str(out), safe_serialization=True)
    _write(
        out / "preprocessor_config.json",
        dict(
            chunk_length=config.max_source_positions * 2 * 160 // 16000, feature_extractor_type="WhisperFeatureExtractor",
            feature_size=config.num_mel_bins, hop_length=160, n_fft=400, n_samples=config.max_source_positions * 320,
            nb_max_frames=config.max_source_positions * 2, padding_side="right", padding_value=0.0,
            processor_class="WhisperProcessor", return_attention_mask=False, sampling_rate=16000,
        ),
    )


@torch.no_grad()
def _marian(name: str, shape: Shape, out: Path) -> None:
    from transformers import GenerationConfig, MarianConfig, MarianMTModel

    source, target = tokenizers.marian(out, shape.tokens, shape.separate)
    config = MarianConfig(
        vocab_size=source["size"], decoder_vocab_size=target["size"], activation_function="swish", scale_embedding=True,
        pad_token_id=target["pad"], eos_token_id=target["eos"], decoder_start_token_id=target["pad"],
        forced_eos_token_id=target["eos"], static_position_embeddings=True, share_encoder_decoder_embeddings=not shape.separate,
        tie_word_embeddings=not shape.separate, **shape.settings,
    )
    model = MarianMTModel(config).eval()
    _scatter(model)
    model.final_logits_bias.normal_(0.0, 0.05)
    sources, targets = torch.randint(1, source["size"] - 1, (16, 16)), torch.randint(1, target["size"] - 1, (16, 16))

    def hidden() -> torch.Tensor:
        return model.model(input_ids=sources, decoder_input_ids=targets).last_hidden_state.flatten(0, 1)

    lift, _ = _spread(model.lm_head.weight, target["eos"], hidden)
    model.final_logits_bias[0, target["eos"]] += lift
    model.generation_config = GenerationConfig(
        bad_words_ids=[[target["pad"]]], bos_token_id=target["eos"], decoder_start_token_id=target["pad"],
        eos_token_id=target["eos"], forced_eos_token_id=target["eos"], max_length=shape.settings["max_position_embeddings"],
        num_beams=4, pad_token_id=target["pad"], renormalize_logits=True,
    )
    model.save_pretrained(str(out), safe_serialization=True)
    _write(
        out / "tokenizer_config.json",
        dict(
            source_lang="en", target_lang="es", model_max_length=512, separate_vocabs=shape.separate,
            tokenizer_class="MarianTokenizer",
        ),
    )


@torch.no_grad()
def _vits(name: str, shape: Shape, out: Path) -> None:
    from transformers import VitsConfig, VitsModel

    model = VitsModel(VitsConfig(vocab_size=shape.tokens, **shape.settings)).eval()
    for parameter_name, parameter in model.named_parameters():
        if "norm" in parameter_name:
            parameter += 0.1 * torch.randn(parameter.shape)
        elif parameter.ndim == 1:
            parameter.normal_(0.0, 0.05)
        elif "translate" in parameter_name:
            parameter.normal_(0.0, 0.1)
        elif "log_scale" in parameter_name:
            # Durations of a few frames a symbol.
            parameter.normal_(0.9, 0.1)
    model.save_pretrained(str(out), safe_serialization=True)
    tokenizers.vits(out / "vocab.json", shape.tokens)
    _write(
        out / "tokenizer_config.json",
        dict(
            add_blank=True, is_uroman=False, language="spa", normalize=True, pad_token="k", phonemize=False,
            tokenizer_class="VitsTokenizer", unk_token="<unk>",
        ),
    )
