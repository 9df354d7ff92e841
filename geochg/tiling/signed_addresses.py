"""Addresses that let their reader in for a while only, such as those a storage service signs."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

import rasterio
from rasterio.errors import RasterioError

from geochg.safety.untrusted_text import names_a_secret

_SIGNATURES = frozenset(
    (
        # Amazon and what speaks like it, Google, Azure, CloudFront, and plain tokens.
        *("x-amz-signature", "awsaccesskeyid", "x-goog-signature", "sig", "signature", "policy"),
        *("token", "access_token", "hdnts", "hdnea", "jwt"),
    )
)
# Stores answer 400, too, where a token has expired.
_REFUSED = re.compile(r"HTTP (?:response|error) code\s*:? (400|401|403|410)\b")


def is_signed(name: str) -> bool:
    """Whether the name of a raster is an address with a signature or a token in its query."""
    if "://" not in name and "%3a%2f%2f" not in name.lower():
        return False
    query_items = parse_qsl(name.partition("?")[2], keep_blank_values=True)
    # GDAL may hold the address in its own query: /vsicurl?url=http...
    query_items += [pair for _, value in query_items for pair in parse_qsl(value.partition("?")[2])]
    return any(key.lower() in _SIGNATURES or names_a_secret(key) for key, _ in query_items)


def refusal(name: str) -> str:
    """The code with which a server refuses a raster that it gave before; empty where it does not.

    Args:
        name: GDAL's name of the raster; asked anew, past all that GDAL keeps of it.
    """
    reply = ""
    path = name if name.startswith("/vsi") else f"/vsicurl/{name}"
    # What GDAL keeps of an address goes when it is opened and closed under this option.
    for _ in range(2):
        with rasterio.Env(CPL_VSIL_CURL_NON_CACHED=path):
            try:
                with rasterio.open(name):
                    reply = ""
            except RasterioError as error:
                reply = str(error)
    code = _REFUSED.search(reply)
    return code[1] if code else ""
