"""Addresses that catalogues name: made absolute, and refused where they must not be read.

A catalogue is text of others. One on a server names no file of this machine, and, unless it lies
there itself, no server on this machine or its network; one on this machine names servers only
where the user trusts it with that.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urljoin, urlsplit
from urllib.request import url2pathname

from geochg.errors import InputError
from geochg.safety.untrusted_text import without_secrets

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)  # a drive has one letter
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".lan", ".home", ".intranet")


class AddressError(InputError):
    """An address that a catalogue must not name.

    Args:
        message: A line that tells what is wrong.
        hint: A line that tells the user what to do about it.
    """

    def __init__(
        self, message: str, hint: str = "choose another --catalog, or mend it where it is yours"
    ) -> None:
        super().__init__(message, hint)


def is_web(text: str) -> bool:
    """Whether a text is an address of HTTP."""
    return text.lower().startswith(("http://", "https://"))


def is_private(address: str) -> bool:
    """Whether an address of HTTP leads to this machine or its network, as far as its text tells."""
    try:
        host = (urlsplit(address).hostname or "").rstrip(".").lower()
    except ValueError:
        return True
    try:
        number = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            # 127.1, 0x7f000001 and 2130706433 are 127.0.0.1 to whoever connects.
            number = ipaddress.ip_address(socket.inet_aton(host))
        except (OSError, UnicodeError):
            return "." not in host or host.endswith(_LOCAL_NAMES)
    if isinstance(number, ipaddress.IPv6Address) and number.ipv4_mapped:
        number = number.ipv4_mapped
    return not number.is_global


@dataclass(frozen=True, slots=True)
class AddressRules:
    """What a catalogue may name.

    Attributes:
        root: The catalogue's own address or file, as the user gave it.
        allow_remote: Whether a catalogue on this machine may name servers.
    """

    root: str
    allow_remote: bool = False

    def check(self, address: str) -> None:
        """Does nothing where an absolute address or path may be read.

        Raises:
            AddressError: If it may not.
        """
        shown_name = without_secrets(address)[:200]
        if is_web(self.root):
            if not is_web(address):
                raise AddressError(
                    f"the catalogue names {shown_name}, which is no address of the web"
                )
            if is_private(address) and not is_private(self.root):
                raise AddressError(
                    f"the catalogue names {shown_name}, a server of this machine or its network"
                )
            return
        if not is_web(address):
            if _SCHEME.match(address) or address.startswith(("/vsi", "//", "\\\\")):
                raise AddressError(f"the catalogue names {shown_name}, which is no file")
        elif not self.allow_remote:
            raise AddressError(
                f"{self.root} names an address elsewhere: {shown_name}",
                "add --allow-remote if you trust the catalogue with what it asks for",
            )

    def absolute(self, base: str, href: str) -> str:
        """What a document names, absolute.

        Args:
            base: Address or path of the document.
            href: As it stands there.

        Raises:
            AddressError: If it may not be read.
        """
        href = href.strip()
        if not href or any(ord(letter) < 32 for letter in href):
            raise AddressError("the catalogue names an empty or broken address")
        if href.lower().startswith("s3://"):
            href = _address_of_bucket(href)
        try:
            address = _absolute(base, href)
        except ValueError as error:
            raise AddressError(f"the catalogue names a broken address: {href[:200]}") from error
        self.check(address)
        return address


def _absolute(base: str, href: str) -> str:
    if is_web(href):
        return href
    if is_web(base):
        return urljoin(base, href)
    if href.lower().startswith("file:"):
        return url2pathname(urlsplit(href).path)
    if _SCHEME.match(href) or href.startswith(("/vsi", "//", "\\\\")):
        return href
    path = Path(base).parent / href
    if not path.exists() and "%" in href:
        path = Path(base).parent / unquote(href)
    return str(path)


def _address_of_bucket(href: str) -> str:
    """The public address of an object in S3; one that needs a key or an account is refused there.

    GDAL's own way to S3 would sign the request with the keys of the user.
    """
    bucket, _, key = href[len("s3://") :].partition("/")
    if not re.fullmatch(r"[A-Za-z0-9.-]{3,63}", bucket):
        raise AddressError(f"the catalogue names a broken address: {href[:200]}")
    path = quote(key)
    # Certificates hold for one name before s3.amazonaws.com.
    if "." in bucket:
        return f"https://s3.amazonaws.com/{bucket}/{path}"
    return f"https://{bucket}.s3.amazonaws.com/{path}"
