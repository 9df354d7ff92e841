"""The model of the last call, kept for the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geochg.options import AnalyzeOptions

if TYPE_CHECKING:
    from geochg.models.base import ChangeModel


class KeptModel:
    """Loads models and keeps the last; for one call at a time, since a model holds its pair."""

    def __init__(self) -> None:
        self._key = ""
        self._model: ChangeModel | None = None

    def model_for(self, options: AnalyzeOptions) -> ChangeModel:
        """The model of a run, loaded unless the last run had the same.

        Raises:
            ModelError: As `load_configured_model`.
            OptionError: As `load_configured_model`.
        """
        from geochg.models.loading import load_configured_model, model_key

        key = model_key(options)
        if self._model is None or key != self._key:
            # Two large models may not fit into memory beside each other.
            self._model = None
            self._model = load_configured_model(options)
            self._key = key
        return self._model
