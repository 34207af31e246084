"""Tokenizers with the real ones' files and special tokens, trained on this repository's own pages."""

import json
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
#: Characters of MMS-TTS's Spanish vocabulary, in the order of their ids.
_CHARACTERS = "k abcdefghijlmnopqrstuvwxyzáéíñóúü'-—–"


def sentences() -> list:
    """Lines of prose from the repository's Markdown."""
    lines = []
    for path in sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")]):
        for line in path.read_text(encoding="utf-8").splitlines():
            line = line.strip("#|>-*` ")
            if len(line) > 20:
                lines.append(line)
    return lines


def _fillers(count: int):
    """Distinct pronounceable words, for the ids that training does not reach."""
    consonants, vowels = "bdfgklmnprstvz", "aeiou"
    syllables = [c + v for c in consonants for v in vowels]
    for n in range(count):
        word, rest = "", n + len(syllables)
        while rest:
            rest, digit = divmod(rest, len(syllables))
            word += syllables[digit]
        yield word


def whisper(path: Path, size: int) -> dict:
    """tokenizer.json: byte-level BPE of `size` tokens, then Whisper's special tokens in Whisper's order."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=min(size, 1500) * 9 // 10, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    tokenizer.train_from_iterator(sentences(), trainer)
    value = json.loads(tokenizer.to_str())
    vocabulary = value["model"]["vocab"]
    for word in _fillers(size):
        if len(vocabulary) == size:
            break
        vocabulary.setdefault(f"Ġ{word}", len(vocabulary))
    languages = list(LANGUAGES)[:99]
    special = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in languages)]
    special += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    timestamps = [f"<|{n * 0.02:.2f}|>" for n in range(1501)]
    ids = {token: size + n for n, token in enumerate(special + timestamps)}
    value["added_tokens"] = [
        dict(
            id=i, content=token, single_word=False, lstrip=False, rstrip=False, normalized=token in timestamps,
            special=token not in timestamps,
        )
        for token, i in ids.items()
    ]
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return {
        "size": size + len(ids),
        "eot": ids["<|endoftext|>"],
        "sot": ids["<|startoftranscript|>"],
        "translate": ids["<|translate|>"],
        "transcribe": ids["<|transcribe|>"],
        "sot_prev": ids["<|startofprev|>"],
        "no_speech": ids["<|nospeech|>"],
        "no_timestamps": ids["<|notimestamps|>"],
        "languages": {f"<|{code}|>": ids[f"<|{code}|>"] for code in languages},
    }


def _sentencepiece(lines: list, size: int) -> tuple:
    """A unigram model: its bytes and its pieces."""
    import sentencepiece

    with tempfile.TemporaryDirectory() as directory:
        prefix = str(Path(directory) / "spm")
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_prefix=prefix, vocab_size=size, hard_vocab_limit=False,
            character_coverage=0.9995, bos_id=-1, minloglevel=2, num_threads=1,
        )
        content = Path(f"{prefix}.model").read_bytes()
    processor = sentencepiece.SentencePieceProcessor(model_proto=content)
    return content, [processor.id_to_piece(i) for i in range(processor.get_piece_size())]


def _vocabulary(pieces: list, size: int) -> dict:
    """Marian's order: end, unknown, pieces, padding last."""
    vocabulary = {"</s>": 0, "<unk>": 1}
    for piece in pieces:
        if len(vocabulary) < size - 1:
            vocabulary.setdefault(piece, len(vocabulary))
    for word in _fillers(size):
        if len(vocabulary) == size - 1:
            break
        vocabulary.setdefault(f"▁{word}", len(vocabulary))
    vocabulary["<pad>"] = len(vocabulary)
    return vocabulary


def marian(out: Path, size: int, separate: bool) -> tuple:
    """source.spm, target.spm and vocab.json (and target_vocab.json); sizes and ids of both sides."""
    lines = sentences()
    source, source_pieces = _sentencepiece(lines, size // 3)
    target, target_pieces = _sentencepiece([line.lower() for line in lines], size // 4)
    (out / "source.spm").write_bytes(source)
    (out / "target.spm").write_bytes(target)
    if separate:
        vocabularies = {"vocab.json": _vocabulary(source_pieces, size), "target_vocab.json": _vocabulary(target_pieces, size - 100)}
    else:
        vocabularies = {"vocab.json": _vocabulary([*source_pieces, *target_pieces], size)}
    sides = []
    for name, vocabulary in vocabularies.items():
        (out / name).write_text(json.dumps(vocabulary, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        sides.append({"size": len(vocabulary), "pad": vocabulary["<pad>"], "eos": vocabulary["</s>"]})
    return sides[0], sides[-1]


def vits(path: Path, size: int) -> None:
    """vocab.json of characters; as in MMS-TTS a rare character has id 0 and serves as the blank."""
    vocabulary = {character: i for i, character in enumerate(_CHARACTERS[: size - 1])}
    vocabulary["<unk>"] = len(vocabulary)
    path.write_text(json.dumps(vocabulary, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
