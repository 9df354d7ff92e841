"""Making a virtual environment and installing geochg into it; QGIS's own Python stays as it is."""

from __future__ import annotations

import os
import shutil

# Pip and venv are other processes.
import subprocess  # nosec B404
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from geochg_qgis.link.errors import Cancelled, LinkError
from geochg_qgis.link.interpreters import System, clean_environment, python_of, refuse_qgis
from geochg_qgis.link.trees import kill_tree, tree_settings

SIZE_MB = 1700
"""What an environment takes on disk without CUDA, measured on Linux with Python 3.11."""

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""Where torch without CUDA is, which PyPI has not for Linux."""

_SIGNS = {
    "ensurepip is not available": "venv-lacks-ensurepip",
    "No space left": "no-room",
    "No matching distribution": "no-distribution",
    "ProxyError": "no-network",
    "NewConnectionError": "no-network",
    "Max retries": "no-network",
}
"""What venv and pip say where more can be told than that they failed."""

_REMOVE_S = 3.0

_VERSION = "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 3)"


@dataclass(frozen=True)
class InstallOptions:
    """How geochg is installed.

    Attributes:
        python: The interpreter that makes the environment.
        folder: Where the environment goes.
        package: What pip is told to install: a name, a wheel, a folder or an address.
        proxy: As pip takes it; empty for none.
        wheels: A folder of wheels to install from without a network; None to ask the network.
        without_gpu: Whether torch may come without CUDA.
    """

    python: Path
    folder: Path
    package: str = "geochg"
    proxy: str = ""
    wheels: Path | None = None
    without_gpu: bool = False

    def pip_arguments(self) -> list[str]:
        """What pip is started with."""
        told = ["install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
        if self.proxy:
            told += ["--proxy", self.proxy]
        if self.wheels is not None:
            told += ["--no-index", "--find-links", str(self.wheels)]
        elif self.without_gpu:
            told += ["--extra-index-url", CPU_INDEX]
        # Behind "--", nothing is an option.
        return [*told, "--upgrade", "--", self.package]


def install(
    options: InstallOptions,
    on_line: Callable[[str], None],
    is_cancelled: Callable[[], bool],
    system: System | None = None,
) -> Path:
    """Makes the environment and installs geochg.

    Args:
        options: How.
        on_line: Told what venv and pip say, on another thread.
        is_cancelled: Asked often; what is running is ended when true.
        system: The machine, which knows what is QGIS's; this one when None.

    Returns:
        The interpreter that holds geochg.

    Raises:
        LinkError: If a step fails; `detail` holds everything pip said.
        Cancelled: If it was.
    """
    _check(options, system or System.here())
    python = python_of(options.folder)
    is_new = _is_free(options.folder)
    try:
        if is_new:
            _run([str(options.python), "-m", "venv", str(options.folder)], on_line, is_cancelled)
        _run([str(python), "-m", "pip", *options.pip_arguments()], on_line, is_cancelled)
    except LinkError as error:
        if not is_new:
            raise _half_changed(error, options.folder) from error
        # Nothing was in it before, so nothing but ours is lost.
        _remove(options.folder)
        raise
    return python


def size_mb(folder: Path) -> float:
    """What a folder takes on disk so far."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:  # pip moves files while this looks
                continue
    return total / 1e6


def first_able(pythons: Iterable[Path]) -> Path | None:
    """The first interpreter that can make an environment for geochg."""
    for python in pythons:
        try:
            _check_python(python)
        except LinkError:
            continue
        return python
    return None


def _is_free(folder: Path) -> bool:
    """Whether there is nothing in a folder, or no folder."""
    return not folder.exists() or not any(folder.iterdir())


def _remove(folder: Path) -> None:
    """Removes a folder; Windows lets go of the files of an ended process a little later."""
    deadline = time.monotonic() + _REMOVE_S
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if time.monotonic() > deadline:
            return
        time.sleep(0.1)


def _half_changed(error: LinkError, folder: Path) -> LinkError:
    """The error, saying truthfully what became of an environment that was there before."""
    return type(error).coded("environment-half-changed", error.detail, failure=error, folder=folder)


def _check_python(python: Path) -> None:
    try:
        # No shell; the user chose the interpreter.
        done = subprocess.run(  # nosec B603
            [str(python), "-c", _VERSION],
            env=clean_environment(),
            capture_output=True,
            timeout=60,
            **tree_settings(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LinkError.coded("python-cannot-start", python=python, reason=error) from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace")
        raise LinkError.coded("python-too-old", said, python=python)


def _check(options: InstallOptions, system: System) -> None:
    _check_paths(options)
    refuse_qgis(options.python, system)
    _check_python(options.python)
    if options.wheels is not None and not options.wheels.is_dir():
        raise LinkError.coded("wheels-missing", folder=options.wheels)
    if _is_free(options.folder):
        return
    if not (options.folder / "pyvenv.cfg").exists():
        raise LinkError.coded("folder-holds-other-things", folder=options.folder)
    try:
        _check_python(python_of(options.folder))
    except LinkError as error:
        raise LinkError.coded(
            "environment-broken", error.detail, folder=options.folder, failure=error
        ) from error


def _check_paths(options: InstallOptions) -> None:
    # An empty field becomes Path("."): whatever folder QGIS was started in.
    if options.python == Path():
        raise LinkError.coded("python-not-named")
    if not options.folder.is_absolute():
        raise LinkError.coded("folder-not-in-full", folder=options.folder)
    if options.folder.exists() and not options.folder.is_dir():
        raise LinkError.coded("folder-is-file", folder=options.folder)


def _run(
    command: Sequence[str], on_line: Callable[[str], None], is_cancelled: Callable[[], bool]
) -> None:
    on_line("$ " + " ".join(command))
    lines: list[str] = []
    try:
        # No shell; the user chose what to install.
        process = subprocess.Popen(  # nosec B603
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=clean_environment(),
            **tree_settings(),
        )
    except OSError as error:
        raise LinkError.coded("python-cannot-start", python=command[0], reason=error) from error

    def read() -> None:
        for line in process.stdout or ():
            text = line.decode("utf-8", "replace").rstrip()
            lines.append(text)
            on_line(text)

    reader = Thread(target=read, daemon=True)
    reader.start()
    while True:
        try:
            process.wait(0.2)
            break
        except subprocess.TimeoutExpired:
            if is_cancelled():
                # Pip builds packages in processes of its own.
                kill_tree(process)
                process.wait()
                raise Cancelled.coded("installation-cancelled") from None
    reader.join(2)
    if process.returncode:
        raise _failed(command, "\n".join(lines))


def _failed(command: Sequence[str], said: str) -> LinkError:
    """The error for what venv or pip said."""
    for sign, code in _SIGNS.items():
        if sign in said:
            return LinkError.coded(code, said, mb=SIZE_MB)
    return LinkError.coded("venv-failed" if "venv" in command else "pip-failed", said)
