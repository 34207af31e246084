"""Checkpoints with seeded random weights, and what transformers computes with them.

HIVE's tests compare its own results with these. The weights are noise: the models say nothing, but
their shapes, files and arithmetic are those of the real ones.
"""
