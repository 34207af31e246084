"""Turns speech and translation checkpoints into the model directories that HIVE runs."""

__version__ = "0.1.0"

#: The version of the contract in README.md that `model.json` names.
CONTRACT = 1
