"""The packages behind the text metrics, which are not installed with geochg."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from geochg.errors import OptionError

_PACKAGES = {"sacrebleu": "sacrebleu", "rouge_score": "rouge_score", "bert_score": "bert-score"}
_HINT = 'install them: pip install "geochg[evaluate]"'


def check_metrics(names: tuple[str, ...]) -> None:
    """Refuses texts to score where a package for it is missing, without importing it.

    Raises:
        OptionError: If one is.
    """
    missing = [_PACKAGES[name] for name in names if find_spec(name) is None]
    if missing:
        raise OptionError(f"scoring texts needs {' and '.join(missing)}", _HINT)


def metric_module(name: str) -> Any:  # noqa: ANN401
    """A module of these packages.

    Raises:
        OptionError: If it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        package = _PACKAGES.get(name.partition(".")[0], name)
        raise OptionError(f"scoring texts needs {package}: {error}", _HINT) from error
