"""Programs of this machine."""

import subprocess


def run(*command: str, text: str | None = None, within: float = 60, check: bool = True) -> str:
    """Run a program, `text` on its standard input, and return what it says.

    Raise AssertionError with its last words if it fails or takes more than `within` seconds.
    """
    try:
        done = subprocess.run(
            command, input=text or "", capture_output=True, text=True, timeout=within, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"{' '.join(command)}: not within {within:g} s") from error
    if check and done.returncode:
        words = (done.stderr or done.stdout).strip()
        raise AssertionError(f"{' '.join(command)}: exit code {done.returncode}: {words}")
    return done.stdout


def succeeds(*command: str) -> bool:
    """Tell whether a program ends with 0."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
