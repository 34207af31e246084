"""The one error of an export: it names the file and says what to do."""

from pathlib import Path


class ExportError(Exception):
    """What is wrong, with which file, and what to do about it."""

    def __init__(self, path: Path | str, problem: str, remedy: str):
        super().__init__(f"{path}: {problem}; {remedy}")
        self.path = Path(path)
        self.problem = problem
        self.remedy = remedy
