"""Writes reference.json: what transformers' greedy and beam search make of the decoder of `toy.rs`.

Its hypotheses end early and at different lengths, which random weights of a real model's size seldom
do. Run as `python make_reference.py > reference.json` with torch and transformers installed.
"""

import itertools
import json

import torch
from transformers import GenerationConfig, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers import __version__ as version
from transformers.modeling_outputs import CausalLMOutput

VOCABULARY, END, POISON, MAX_LENGTH = 12, 0, 11, 20


class Toy(PreTrainedModel, GenerationMixin):
    """`toy::logits` of the sum of `toy::memory` over the sequence."""

    config_class = PretrainedConfig
    main_input_name = "input_ids"

    def __init__(self, frames: float):
        super().__init__(PretrainedConfig(vocab_size=VOCABULARY, is_encoder_decoder=False))
        self.anchor = torch.nn.Parameter(torch.zeros(1))
        self.frames = frames

    def prepare_inputs_for_generation(self, input_ids, **_):
        return {"input_ids": input_ids}

    def forward(self, input_ids, **_):
        positions = torch.arange(input_ids.shape[1])
        memory = torch.sin(input_ids * 1.7 + positions * 0.31).cumsum(1)[:, :, None]
        tokens = torch.arange(VOCABULARY, dtype=torch.float32)
        logits = 3.0 * torch.sin(memory * (tokens + 1.3) + self.frames + tokens)
        logits[:, :, POISON] = -30.0
        return CausalLMOutput(logits=logits)


def main():
    cases = []
    settings = itertools.product((1, 2, 4), (0.0, 0.6, 1.0, 2.0), (True, False, "never"))
    for beams, penalty, early in settings:
        if beams == 1 and (penalty, early) != (1.0, False):
            continue
        for seed in range(1, 11):
            frames = round(0.37 * seed, 2)
            prompt = [seed, 1 + seed * 3 % 10][: 1 + seed % 2]
            result = Toy(frames).eval().generate(
                torch.tensor([prompt]),
                generation_config=GenerationConfig(
                    num_beams=beams, length_penalty=penalty, early_stopping=early if beams > 1 else False,
                    max_length=MAX_LENGTH, eos_token_id=END, pad_token_id=END, bos_token_id=1, do_sample=False,
                    use_cache=False,
                ),
                return_dict_in_generate=True, output_scores=True,
            )
            case = dict(beams=beams, length_penalty=penalty, early_stopping=str(early), prompt=prompt, frames=frames)
            case["ids"] = result.sequences[0, len(prompt) :].tolist()
            if beams > 1:
                case["score"] = round(result.sequences_scores[0].item(), 5)
            cases.append(case)
    lines = ",\n  ".join(json.dumps(case) for case in cases)
    print(f'{{"transformers": "{version}", "max_length": {MAX_LENGTH}, "cases": [\n  {lines}\n]}}')


if __name__ == "__main__":
    main()
