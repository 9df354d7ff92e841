"""The messages and hints of the errors in `link/`, which knows no language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from geochg_qgis.i18n import tr
from geochg_qgis.link.errors import LinkError
from geochg_qgis.run_options import option_labels

_FLAG = re.compile(r"(?<![\w-])--([a-z][a-z-]*[a-z])")


def translated_error(error: LinkError) -> LinkError:
    """An error with its message and hint in the user's language."""
    if not error.code:
        return error
    message, hint = _messages()[error.code]
    values = {name: _shown_value(value) for name, value in error.values.items()}
    return type(error)(message.format(**values), hint.format(**values), error.detail)


def worker_notice(notice: Mapping[str, Any]) -> str:
    """A notice of the worker, which is English, behind words in the user's language."""
    return worker_text(notice.get("message", ""))


def worker_text(text: object) -> str:
    """A sentence of the worker, such as a warning in an answer, as a notice is shown."""
    return tr("geochg says: {message}").format(message=without_flags(str(text)))


def without_flags(text: str) -> str:
    """A text of the worker with the panel's names of options in place of command-line flags."""
    labels = {**option_labels(), **_scene_labels()}

    def label(match: re.Match[str]) -> str:
        words = match[1].replace("-", " ")
        return f"“{labels.get(words) or tr(words[:1].upper() + words[1:])}”"

    return _FLAG.sub(label, text)


def _scene_labels() -> dict[str, str]:
    """Labels of the fields about scenes, which are no options of a run, by their flags."""
    return {
        "before": tr("Month before"),
        "after": tr("Month after"),
        "catalog": tr("Catalogue"),
        "composite": tr("Image"),
        "max cloud": tr("Clouds at most"),
        "scenes": tr("Keep scenes in"),
    }


def _shown_value(value: object) -> object:
    if isinstance(value, LinkError):
        return translated_error(value)
    return without_flags(value) if isinstance(value, str) else value


def _messages() -> dict[str, tuple[str, str]]:
    """Messages and hints, by code."""
    return {
        **_python_messages(),
        **_worker_messages(),
        **_protocol_messages(),
        **_installation_messages(),
    }


def _python_messages() -> dict[str, tuple[str, str]]:
    return {
        "python-missing": (
            tr("There is no {python}"),
            tr("choose another Python, or install geochg"),
        ),
        "python-is-folder": (tr("{python} is a folder"), tr("choose the Python program in it")),
        "python-is-qgis": (
            tr("{python} belongs to QGIS"),
            tr("choose another Python: that of QGIS is never touched"),
        ),
        "python-cannot-start": (
            tr("{python} cannot be started: {reason}"),
            tr("check its permissions, or choose another Python"),
        ),
        "python-too-old": (
            tr("{python} is no Python 3.11 or newer"),
            tr("choose a newer one; python.org has installers"),
        ),
        "python-is-older": (
            tr("{python} is Python {version}; geochg needs 3.11 or newer"),
            tr("choose a newer one, or install geochg below"),
        ),
        "no-python": (
            tr("{python} is no Python"),
            tr("choose the program itself, such as bin/python of an environment"),
        ),
        "geochg-is-older": (
            tr("The geochg in {python} is version {version}, too old for this plugin"),
            tr("update it, or install geochg below"),
        ),
        "geochg-missing": (
            tr("geochg is not installed in {python}"),
            tr("install it there, or choose another Python"),
        ),
        "geochg-too-old": (
            tr("The geochg in {python} is too old for this plugin"),
            tr("update it"),
        ),
        "geochg-incomplete": (
            tr("geochg in {python} is incomplete"),
            tr("install it again, into a new environment"),
        ),
    }


def _worker_messages() -> dict[str, tuple[str, str]]:
    return {
        "worker-did-not-start": (
            tr("{python} did not start the worker (exit code {exit_code})"),
            tr("choose a Python with geochg; the log tells more"),
        ),
        "worker-silent": (
            tr("{python} did not answer within {seconds:g} s"),
            tr("check that it is a Python with geochg; on a slow disk, try again"),
        ),
        "worker-stopped": (
            tr("The worker stopped (exit code {exit_code})"),
            tr("what was done is kept: run again to go on; the log tells more"),
        ),
        "worker-killed": (
            tr("The worker stopped (exit code {exit_code})"),
            tr(
                "memory may have run out: choose a smaller batch or model; what was done is kept, "
                "run again to go on"
            ),
        ),
        "worker-ended": (tr("The worker was ended"), tr("run again")),
        "worker-has-no-pipe": (tr("The worker could not be connected to"), tr("report this")),
        "cancelled-at-start": (tr("Cancelled while geochg was starting"), tr("run again")),
        "run-stopped": (tr("The run was stopped"), tr("run again to resume it")),
    }


def _protocol_messages() -> dict[str, tuple[str, str]]:
    return {
        # The worker's text is English; the words before it say whose it is.
        "worker-error": (tr("geochg says: {message}"), tr("what to do: {hint}")),
        "worker-error-without-hint": (tr("geochg says: {message}"), ""),
        "worker-too-old": (tr("This geochg is too old for that"), tr("set up a newer one")),
        "worker-gave-no-reason": (tr("geochg failed without saying why"), tr("see the log")),
        "worker-not-understood": (
            tr("An answer of the worker cannot be read: {reason}"),
            tr("report this"),
        ),
        "no-message": (
            tr("The worker wrote a line that is not a message: {shown}"),
            tr("check the installation: another program may answer in its place"),
        ),
        "plugin-too-old": (
            tr("geochg {geochg} speaks protocol {spoken}, this plugin {own}"),
            tr("update the plugin"),
        ),
        "geochg-speaks-another-version": (
            tr("geochg {geochg} speaks protocol {spoken}, this plugin {own}"),
            tr("update geochg on the set-up page"),
        ),
    }


def _installation_messages() -> dict[str, tuple[str, str]]:
    return {
        "python-not-named": (tr("No Python to make the environment is named"), tr("choose one")),
        "folder-not-in-full": (
            tr("The path of the folder for the environment is not complete: {folder}"),
            tr("choose an empty folder, or name one by its whole path"),
        ),
        "folder-is-file": (tr("{folder} is a file"), tr("choose an empty folder")),
        "folder-holds-other-things": (
            tr("{folder} holds other files"),
            tr("choose an empty folder for the environment"),
        ),
        "release-missing": (
            tr("This plugin comes without geochg"),
            tr("name a wheel or a folder of geochg under Package"),
        ),
        "wrong-checksum": (
            tr("Installing failed: a file is not the one that was locked"),
            tr("try again, from another network if need be; nothing of the file was used"),
        ),
        "wheels-missing": (tr("There is no folder {folder}"), tr("choose the folder of wheels")),
        "environment-broken": (
            tr("The environment in {folder} does not work: {failure.message}"),
            tr("choose an empty folder, or delete this one first if nothing in it is needed"),
        ),
        "environment-half-changed": (
            "{failure.message}",
            tr(
                "{failure.hint}. {folder} was kept and may be half changed; install again to make "
                "it whole"
            ),
        ),
        "installation-cancelled": (tr("The installation was cancelled"), tr("install again")),
        "venv-lacks-ensurepip": (
            tr("Making the environment failed"),
            tr("install python3-venv (sudo apt install python3-venv), then try again"),
        ),
        "venv-failed": (
            tr("Making the environment failed"),
            tr("the output of Python is below; it can be copied"),
        ),
        "no-room": (tr("Installing failed"), tr("make room: about {mb} MB are needed")),
        "no-distribution": (
            tr("Installing failed"),
            tr("check the name of the package, the network, or the folder of wheels"),
        ),
        "no-network": (
            tr("Installing failed"),
            tr("check the network and the proxy, or install from a folder of wheels"),
        ),
        "pip-failed": (tr("Installing failed"), tr("the output of pip is below; it can be copied")),
    }
