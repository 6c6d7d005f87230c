"""A tab of a browser in a container, in which somebody watches a status page."""

import subprocess
from typing import Self


class Tab:
    """The page at `url`, from `with` to the end of its block; it has the title `title` first."""

    def __init__(self, container: str, url: str, title: str, later: str) -> None:
        """`later` is the title for which `read` waits."""
        script = ("python", "/tests/cluster/browser.py", url, title, later)
        self._command = ["docker", "exec", container, *script]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        if self._process.stdout.readline() != "ready\n":
            raise AssertionError(self._process.communicate()[1])
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def read(self) -> str:
        """Wait for the later title, without a reload; return what is said of the last failover."""
        said, errors = self._process.communicate(timeout=60)
        assert not self._process.returncode, errors
        return said
