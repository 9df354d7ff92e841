"""JSON of catalogues, from servers and files: bounded in size and time, tried again, checked."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import (
    BaseHandler,
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from geochg.errors import InputError
from geochg.files.text_file import parsed_json, read_text
from geochg.safety.untrusted_text import cleaned, without_secrets
from geochg.stac.addresses import AddressRules, is_private, is_web

_TRIES = 3
_PAUSE_S = 0.5
_PASSING = (429, 500, 502, 503, 504)
"""Codes of states that may have passed by the next try."""

_MOST_BYTES = 64 * 2**20
_PIECE_BYTES = 2**18


class CatalogError(InputError):
    """A catalogue that cannot be asked, or answers nonsense."""


class MissingDocumentError(CatalogError):
    """A document that a server does not have."""


@dataclass(frozen=True)
class CatalogReader:
    """Reads the documents of one catalogue.

    Attributes:
        rules: What the catalogue may name.
        timeout_s: Longest wait for a server to say anything; an answer may take four times as long.
    """

    rules: AddressRules
    timeout_s: float = 30.0

    def read(self, address: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What a document holds, which is an object.

        Args:
            address: Absolute address, or path of a file.
            body: JSON that is posted; None to get the document.

        Raises:
            MissingDocumentError: If a server does not have it.
            CatalogError: If it cannot be read, or is no JSON object.
            AddressError: If the address, or one that it leads to, may not be read.
        """
        self.rules.check(address)
        shown_name = without_secrets(address)
        text = (
            self._fetched_text(address, body)
            if is_web(address)
            else read_text(Path(address), "the catalogue")
        )
        try:
            content = parsed_json(text)
        except ValueError as error:
            beginning = cleaned(text, 60)
            raise CatalogError(
                f"{shown_name} answers no JSON: it begins with {beginning!r}",
                "give the root of a STAC API, or a catalog.json",
            ) from error
        if not isinstance(content, dict):
            raise CatalogError(
                f"{shown_name} holds a JSON {type(content).__name__}, no STAC document",
                "give the root of a STAC API, or a catalog.json",
            )
        return content

    def _fetched_text(self, address: str, body: Mapping[str, Any] | None) -> str:
        shown_name = without_secrets(address)
        for attempt in range(1, _TRIES + 1):
            try:
                return self._answer(address, body)
            except HTTPError as error:
                error.close()
                if error.code in (404, 410):
                    raise MissingDocumentError(
                        f"{shown_name} is not there ({error.code})", "check --catalog"
                    ) from error
                if error.code not in _PASSING or attempt == _TRIES:
                    tries = f" {attempt} times" if attempt > 1 else ""
                    raise CatalogError(
                        f"{shown_name} answered{tries} with {error.code} {cleaned(error.reason)}",
                        _hint_of_code(error.code),
                    ) from error
            except (URLError, OSError, http.client.HTTPException, ValueError) as error:
                reason = getattr(error, "reason", None) or error
                is_final = isinstance(reason, ssl.SSLCertVerificationError | ValueError)
                if is_final or attempt == _TRIES:
                    raise CatalogError(
                        f"{shown_name} cannot be asked: {cleaned(reason) or 'it does not answer'}",
                        "check the address and the network, or try again later",
                    ) from error
            time.sleep(_PAUSE_S * 2 ** (attempt - 1))
        raise AssertionError("the last try returns or raises")

    def _answer(self, address: str, body: Mapping[str, Any] | None) -> str:
        from geochg import __version__

        headers = {"User-Agent": f"geochg/{__version__}", "Accept": "application/geo+json, */*"}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = Request(address, data=data, headers=headers)
        deadline = time.monotonic() + 4 * self.timeout_s
        with _opener(address, self.rules).open(request, timeout=self.timeout_s) as response:
            content = bytearray()
            while piece := response.read1(_PIECE_BYTES):
                content += piece
                if len(content) > _MOST_BYTES:
                    raise ValueError(f"its answer is larger than {_MOST_BYTES >> 20} MB")
                if time.monotonic() > deadline:
                    raise ValueError(f"its answer takes longer than {4 * self.timeout_s:g} s")
        return content.decode("utf-8-sig", "replace")


class _CheckedRedirects(HTTPRedirectHandler):
    """Follows a server to another address where the catalogue may name that."""

    def __init__(self, rules: AddressRules) -> None:
        self._rules = rules

    def redirect_request(
        self,
        req: Request,
        fp: Any,  # noqa: ANN401
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> Request | None:
        self._rules.check(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(address: str, rules: AddressRules) -> OpenerDirector:
    """Opens addresses of HTTP alone: no files, no FTP, no data in the address."""
    opener = OpenerDirector()
    handlers: list[BaseHandler] = [
        # A proxy would look for a server of this machine on its own.
        ProxyHandler({} if is_private(address) else None),
        HTTPHandler(),
        HTTPSHandler(context=_certificates()),
        HTTPDefaultErrorHandler(),
        _CheckedRedirects(rules),
        HTTPErrorProcessor(),
    ]
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def _certificates() -> ssl.SSLContext:
    """Certificates of the system, and those of certifi, which comes with rasterio."""
    context = ssl.create_default_context()
    try:
        import certifi

        context.load_verify_locations(certifi.where())
    except (ImportError, OSError):
        pass
    return context


def _hint_of_code(code: int) -> str:
    if code in (401, 403):
        return "it wants a key or an account, which geochg has none for: choose another catalogue"
    if code in _PASSING:
        return "try again later, or choose another catalogue with --catalog"
    return "check --catalog: it must be the root of a STAC API or a static catalogue"
