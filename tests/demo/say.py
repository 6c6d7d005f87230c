"""How the demo talks."""


def say(text: str = "") -> None:
    """Print at once."""
    print(text, flush=True)
