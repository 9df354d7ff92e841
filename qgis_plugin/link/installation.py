"""Makes a virtual environment and installs geochg into it, apart from QGIS's own Python."""

from __future__ import annotations

import os
import shutil

# Pip and venv are other processes.
import subprocess  # nosec B404
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

from geochg_qgis.link.errors import Cancelled, LinkError
from geochg_qgis.link.interpreters import System, check_not_qgis, clean_environment, python_of
from geochg_qgis.link.process_tree import kill_tree, tree_settings
from geochg_qgis.link.release import LOCK, Release

SIZE_MB = 600
"""Size of an environment on disk, measured on Linux with Python 3.11, without any extra."""

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""Index of torch without CUDA, which PyPI does not have for Linux."""

FAILURE_CODES = {
    "ensurepip is not available": "venv-lacks-ensurepip",
    "No space left": "no-room",
    "DO NOT MATCH THE HASHES": "wrong-checksum",
    "No matching distribution": "no-distribution",
    "ProxyError": "no-network",
    "NewConnectionError": "no-network",
    "Max retries": "no-network",
}
"""Error codes by texts in the output of venv and pip."""

_REMOVE_S = 3.0

_VERSION = "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 3)"


@dataclass(frozen=True)
class InstallOptions:
    """The options of an installation.

    Attributes:
        python: Interpreter that makes the environment.
        folder: Folder of the environment.
        package: Package for pip to install in place of the plugin's own release: a wheel, a folder
            or an address; empty for that release, whose versions are locked by checksums.
        release: The plugin's own release; None where it has none.
        larger_models: Whether what the larger models need is installed, too.
        proxy: Proxy, as pip takes it; empty for none.
        wheels: Folder of wheels to install from without a network; None to use the network.
        without_gpu: Whether torch may come without CUDA.
    """

    python: Path
    folder: Path
    package: str = ""
    release: Release | None = field(default_factory=Release.of_plugin)
    larger_models: bool = False
    proxy: str = ""
    wheels: Path | None = None
    without_gpu: bool = False

    def pip_commands(self, requirements: Path) -> Iterator[list[str]]:
        """Arguments of pip, for each time that it runs.

        Args:
            requirements: File that holds the requirement of the plugin's own release.
        """
        if self.package or self.release is None:
            # Behind "--", pip takes nothing for an option.
            yield [*self._shared_arguments(), "--upgrade", "--", self.package]
            return
        files = [argument for path in (LOCK, requirements) for argument in ("-r", str(path))]
        locked = ["--require-hashes", "--only-binary", ":all:"]
        yield [*self._shared_arguments(is_locked=True), *locked, *files]
        if self.larger_models:
            package = self.release.within(self.wheels).with_larger_models()
            yield [*self._shared_arguments(), "--", package]

    def _shared_arguments(self, *, is_locked: bool = False) -> list[str]:
        arguments = [
            "install",
            "--disable-pip-version-check",
            "--no-input",
            "--progress-bar",
            "off",
        ]
        if self.proxy:
            arguments += ["--proxy", self.proxy]
        if self.wheels is not None:
            arguments += ["--no-index", "--find-links", str(self.wheels)]
        elif self.without_gpu and not is_locked:
            arguments += ["--extra-index-url", CPU_INDEX]
        return arguments


def install(
    options: InstallOptions,
    on_line: Callable[[str], None],
    is_cancelled: Callable[[], bool],
    system: System | None = None,
) -> Path:
    """Makes the environment and installs geochg.

    Args:
        options: Options of the installation.
        on_line: Function that is given each line of venv's and pip's output, on another thread.
        is_cancelled: Function that is polled; when true, the running command is killed.
        system: Machine, which knows QGIS's folders; this one when None.

    Returns:
        The interpreter of the environment.

    Raises:
        LinkError: If a step fails; `detail` holds all output.
        Cancelled: If the user cancelled it.
    """
    _check_options(options, system or System.here())
    python = python_of(options.folder)
    is_new = _is_free(options.folder)
    try:
        if is_new:
            _run_command(
                [str(options.python), "-m", "venv", str(options.folder)], on_line, is_cancelled
            )
        with TemporaryDirectory(prefix="geochg_qgis_") as folder:
            requirements = Path(folder) / "geochg.txt"
            if options.release is not None:
                line = options.release.within(options.wheels).requirement()
                requirements.write_text(line, encoding="utf-8")
            for arguments in options.pip_commands(requirements):
                _run_command([str(python), "-m", "pip", *arguments], on_line, is_cancelled)
    except LinkError as error:
        if not is_new:
            raise _half_changed(error, options.folder) from error
        # The folder was empty before, so that nothing else is lost.
        _remove(options.folder)
        raise
    return python


def size_mb(folder: Path) -> float:
    """Size of the files in a folder."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:  # pip moves files meanwhile
                continue
    return total / 1e6


def first_usable_python(pythons: Iterable[Path]) -> Path | None:
    """The first interpreter that can make an environment for geochg."""
    for python in pythons:
        try:
            _check_python(python)
        except LinkError:
            continue
        return python
    return None


def _is_free(folder: Path) -> bool:
    """Whether a folder is empty or does not exist."""
    return not folder.exists() or not any(folder.iterdir())


def _remove(folder: Path) -> None:
    """Removes a folder; Windows releases the files of an ended process a little later."""
    deadline = time.monotonic() + _REMOVE_S
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if time.monotonic() > deadline:
            return
        time.sleep(0.1)


def _half_changed(error: LinkError, folder: Path) -> LinkError:
    """The error of an installation into an environment that existed before."""
    return type(error).from_code(
        "environment-half-changed", error.detail, failure=error, folder=folder
    )


def _check_python(python: Path) -> None:
    try:
        # No shell; the user chose the interpreter.
        process = subprocess.run(  # nosec B603
            [str(python), "-c", _VERSION],
            env=clean_environment(),
            capture_output=True,
            timeout=60,
            **tree_settings(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LinkError.from_code("python-cannot-start", python=python, reason=error) from error
    if process.returncode:
        output = process.stderr.decode("utf-8", "replace")
        raise LinkError.from_code("python-too-old", output, python=python)


def _check_options(options: InstallOptions, system: System) -> None:
    _check_paths(options)
    if not options.package and options.release is None:
        raise LinkError.from_code("release-missing")
    check_not_qgis(options.python, system)
    _check_python(options.python)
    if options.wheels is not None and not options.wheels.is_dir():
        raise LinkError.from_code("wheels-missing", folder=options.wheels)
    if _is_free(options.folder):
        return
    if not (options.folder / "pyvenv.cfg").exists():
        raise LinkError.from_code("folder-holds-other-things", folder=options.folder)
    try:
        _check_python(python_of(options.folder))
    except LinkError as error:
        raise LinkError.from_code(
            "environment-broken", error.detail, folder=options.folder, failure=error
        ) from error


def _check_paths(options: InstallOptions) -> None:
    # An empty field becomes Path("."): whatever folder QGIS was started in.
    if options.python == Path():
        raise LinkError.from_code("python-not-named")
    if not options.folder.is_absolute():
        raise LinkError.from_code("folder-not-in-full", folder=options.folder)
    if options.folder.exists() and not options.folder.is_dir():
        raise LinkError.from_code("folder-is-file", folder=options.folder)


def _run_command(
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
        raise LinkError.from_code("python-cannot-start", python=command[0], reason=error) from error

    def read_output() -> None:
        for line in process.stdout or ():
            text = line.decode("utf-8", "replace").rstrip()
            lines.append(text)
            on_line(text)

    reader = Thread(target=read_output, daemon=True)
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
                raise Cancelled.from_code("installation-cancelled") from None
    reader.join(2)
    if process.returncode:
        raise _command_error(command, "\n".join(lines))


def _command_error(command: Sequence[str], output: str) -> LinkError:
    """The error of a command of venv or pip, by its output."""
    for text, code in FAILURE_CODES.items():
        if text in output:
            return LinkError.from_code(code, output, mb=SIZE_MB)
    return LinkError.from_code("venv-failed" if "venv" in command else "pip-failed", output)
