"""Words that depend on a number."""


def counted(number: int, noun: str) -> str:
    """Return a number with what is counted: "1 file", "2 files"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
