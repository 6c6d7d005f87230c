"""The one place that starts processes.

Every child has its own process group, no stdin, a minimal environment, and dies with us:
`setpriv --pdeathsig` sends it TERM when the *thread* that started it ends (prctl(2)), so children
are started from the loop's thread only.
"""

import asyncio
import fcntl
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import Final

from sidecar.errors import ProgramError, ProgramMissingError

LAST_LINES: Final = 25
"""How many lines of a child's output are kept for an error message."""

MOST_OUTPUT: Final = 16 * 1024 * 1024
"""Bytes of each of its two outputs that are kept of a program that has ended."""

_LINE_LIMIT: Final = 64 * 1024
_PIPE_SIZE: Final = 1024 * 1024

MINIMAL_ENVIRONMENT: Final[Mapping[str, str]] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A program that has ended: its exit code (negative: the signal) and its output."""

    code: int
    stdout: str
    stderr: str

    @property
    def last_words(self) -> str:
        """The last line that says something, standard error first."""
        lines = [line for line in (*self.stdout.splitlines(), *self.stderr.splitlines()) if line]
        return lines[-1] if lines else f"exit code {self.code}"


def mortal(command: Sequence[str]) -> list[str]:
    """Return `command` so that it receives TERM when we die."""
    return ["setpriv", "--pdeathsig", "TERM", "--", *command]


async def run(
    command: Sequence[str],
    *,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    grace: float = 0.0,
) -> Completed:
    """Run `command` to its end within `timeout` seconds and return what it said.

    Of each output the first `MOST_OUTPUT` bytes are returned: some of it is a peer's. One that
    takes too long, or whose caller is cancelled, has `grace` seconds after a TERM to end itself.
    Raise ProgramMissingError if it cannot be started, ProgramError if it takes too long.
    """
    process = await _start(command, environment, stdin=None if stdin is None else PIPE)
    try:
        async with asyncio.timeout(timeout):
            async with asyncio.TaskGroup() as group:
                stdout = group.create_task(_beginning(process.stdout))
                stderr = group.create_task(_beginning(process.stderr))
                await _feed(process.stdin, stdin)
            await process.wait()
    except TimeoutError:
        raise ProgramError(f"cannot run {command[0]}: no end within {timeout:g} s") from None
    finally:
        if process.returncode is None:
            await _end(process, grace)
    assert process.returncode is not None
    return Completed(
        code=process.returncode,
        stdout=stdout.result().decode(errors="replace"),
        stderr=stderr.result().decode(errors="replace"),
    )


async def run_module(
    module: str, *arguments: str, stdin: bytes | None = None, timeout: float
) -> str:
    """Run one of our modules in a Python of its own and return its standard output.

    The libraries that it needs leave with it. Raise ProgramError if it fails.
    """
    package = Path(__file__).parents[2]
    completed = await run(
        [sys.executable, "-m", module, *arguments],
        timeout=timeout,
        environment={"PYTHONPATH": str(package)},
        stdin=stdin,
    )
    if completed.code:
        raise ProgramError(f"cannot run {module}: {completed.last_words}")
    return completed.stdout


@dataclass(frozen=True, slots=True)
class _Output:
    """Our end of a pipe."""

    stream: asyncio.StreamReader
    transport: asyncio.ReadTransport


class Child:
    """A long-running program whose output is handed on line by line.

    Given: the command, `on_line` for each line of both pipes. `wait()` gives the exit code;
    `last_lines` holds its last words.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        output: "_Output",
        on_line: Callable[[str], None],
    ) -> None:
        self._process = process
        self._output = output
        self._on_line = on_line
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._reader = asyncio.create_task(self._drain(), name=f"output of {process.pid}")

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        on_line: Callable[[str], None],
        environment: Mapping[str, str] | None = None,
        passthrough: bool = False,
    ) -> "Child":
        """Start `command`; raise ProgramMissingError if that cannot be done.

        With `passthrough` its standard output is ours, and only its standard error is read.
        """
        try:
            output, writer = await _open_output()
        except OSError as error:
            raise ProgramMissingError(f"cannot start {command[0]}: {error.strerror}") from error
        if passthrough:
            _widen(sys.stdout.fileno())
        try:
            process = await _start(
                command, environment, stdout=None if passthrough else writer, stderr=writer
            )
        finally:
            os.close(writer)
        return cls(process, output, on_line)

    @property
    def pid(self) -> int:
        """Process id, which is the id of its group too."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit code, or None while it runs."""
        return self._process.returncode

    def signal(self, number: int) -> None:
        """Send a signal to the program alone; a program that has ended gets none."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def kill_group(self, number: Signals = SIGKILL) -> None:
        """Send a signal to the program and all of its group, also after its own end."""
        kill_group(self.pid, number)

    async def wait(self) -> int:
        """Wait for the end of the program and return its exit code (negative: the signal)."""
        return await self._process.wait()

    async def finish(self) -> None:
        """End what is left of the group and read its last words."""
        self.kill_group()
        await asyncio.wait([self._reader], timeout=1)
        self._reader.cancel()
        self._output.transport.close()

    async def stop(self, *graces: tuple[Signals, float]) -> int:
        """Send each signal and wait its seconds, then kill the group; return the exit code."""
        for number, seconds in graces:
            self.signal(number)
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.wait()
                    break
        self.kill_group()
        code = await self.wait()
        await self.finish()
        return code

    async def _drain(self) -> None:
        async for line in _lines(self._output.stream):
            self.last_lines.append(line)
            self._on_line(line)


class Pipe:
    """A program that is talked with over its standard input and output; its last words are kept.

    It lives as long as the context of `Pipe.open(command)`, and is killed at its end.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.stdin = process.stdin
        self.stdout = process.stdout
        self._process = process
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._reader = asyncio.create_task(
            self._keep_last(process.stderr), name=f"last words of pid {process.pid}"
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, command: Sequence[str]) -> AsyncGenerator["Pipe"]:
        """Start `command`; raise ProgramMissingError if that cannot be done."""
        pipe = cls(await _start(command, None, stdin=PIPE))
        try:
            yield pipe
        finally:
            await pipe._end()

    async def last_words(self) -> Sequence[str]:
        """Return the last lines of its standard error, once it has ended or after a second."""
        await asyncio.wait([self._reader], timeout=1)
        return tuple(self._last_lines)

    async def _end(self) -> None:
        kill_group(self._process.pid, SIGKILL)
        self.stdin.close()
        await self._process.wait()
        # Both pipes are read to their ends, or they stay open.
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                while await self.stdout.read(_LINE_LIMIT):
                    pass
                await self._reader
        self._reader.cancel()

    async def _keep_last(self, stream: asyncio.StreamReader) -> None:
        async for line in _lines(stream):
            self._last_lines.append(line)


def kill_group(group: int, number: Signals) -> None:
    """Send a signal to a process group; one that has ended gets none."""
    with suppress(ProcessLookupError):
        os.killpg(group, number)


async def _end(process: asyncio.subprocess.Process, grace: float) -> None:
    """End a process and all of its group, and read its outputs to their ends: else it stays.

    One that has left its group may keep them open: it is not waited for.
    """
    rest = asyncio.gather(process.wait(), _beginning(process.stdout), _beginning(process.stderr))
    try:
        if grace:
            kill_group(process.pid, SIGTERM)
            await asyncio.wait({rest}, timeout=grace)
    finally:
        kill_group(process.pid, SIGKILL)
        await asyncio.wait({rest}, timeout=1)
        rest.cancel()


async def _beginning(stream: asyncio.StreamReader | None) -> bytes:
    """Read a stream to its end and return how it begins."""
    assert stream is not None
    kept = bytearray()
    while chunk := await stream.read(_LINE_LIMIT):
        kept += chunk[: MOST_OUTPUT - len(kept)]
    return bytes(kept)


async def _feed(stream: asyncio.StreamWriter | None, text: bytes | None) -> None:
    if stream is None or text is None:
        return
    with suppress(ConnectionError):  # it has ended without reading
        stream.write(text)
        await stream.drain()
    stream.close()


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Give each line that says something."""
    while True:
        try:
            raw = await stream.readline()
        except ValueError:  # a line longer than the limit: asyncio has dropped it
            continue
        if not raw:
            return
        line = raw.decode(errors="replace").rstrip()
        if line:
            yield line


def _widen(descriptor: int) -> None:
    """Let a pipe hold more, so that a short pause of its reader costs no line."""
    with suppress(OSError, ValueError):  # no pipe, or the user's quota of pipes (pipe(7))
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)


async def _open_output() -> tuple["_Output", int]:
    """Return a pipe's two ends: one for us, and a descriptor for a program to write to.

    A write to a full pipe fails at once instead of waiting: were we to hang, the program must not.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    _widen(writer)
    stream = asyncio.StreamReader(limit=_LINE_LIMIT)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reader, "rb", buffering=0)
    )
    return _Output(stream, transport), writer


async def _start(
    command: Sequence[str],
    environment: Mapping[str, str] | None,
    *,
    stdin: int | None = None,
    stdout: int | None = PIPE,
    stderr: int | None = PIPE,
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *mortal(command),
            stdin=DEVNULL if stdin is None else stdin,
            stdout=stdout,
            stderr=stderr,
            env={**MINIMAL_ENVIRONMENT, **(environment or {})},
            process_group=0,
            limit=_LINE_LIMIT,
        )
    except OSError as error:
        raise ProgramMissingError(f"cannot start {command[0]}: {error.strerror}") from error
