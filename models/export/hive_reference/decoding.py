"""What Whisper's and Marian's references share: transformers' greedy and beam search."""

import copy

import torch

#: A greedy choice whose two best logits are nearer than this, relative to the largest, is a tie that
#: the order of additions decides: the input is passed over and counted in `near_ties`.
NEAR_TIE = 1e-4


@torch.no_grad()
def greedy(generate) -> tuple:
    """Ids that `generate(**settings)` gives, and the least margin of its choices."""
    result = generate(num_beams=1, return_dict_in_generate=True, output_logits=True, output_scores=True)
    ids = result.sequences[0].tolist()
    margin = float("inf")
    # Scores are the logits after suppression; those of a forced choice have one finite entry.
    for scores, logits in zip(result.scores, result.logits):
        best = torch.topk(scores[0], 2).values
        if torch.isfinite(best[1]):
            margin = min(margin, ((best[0] - best[1]) / logits.abs().max()).item())
    return ids, margin


@torch.no_grad()
def beam(generate, beams: int = 4) -> list:
    """Ids of the best of `beams` hypotheses."""
    return generate(num_beams=beams, return_dict_in_generate=True).sequences[0].tolist()


@torch.no_grad()
def shaken(model):
    """A copy whose weights are off by some units in the last place. Where its beam search ends elsewhere,
    two hypotheses were as good as each other, and the input is passed over too."""
    copied = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(11)
    for parameter in copied.parameters():
        parameter *= 1.0 + 1e-6 * torch.randn(parameter.shape, generator=generator)
    return copied
