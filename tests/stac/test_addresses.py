"""What a catalogue may name: text of others that must not lead to files and servers of ours."""

import pytest

from geochg.stac.addresses import AddressError, AddressRules, is_private
from geochg.stac.asset_reader import ReadSettings


@pytest.mark.parametrize(
    "address",
    [
        *("http://localhost/x", "http://LOCALHOST:8000", "http://127.0.0.1", "http://127.1/"),
        *("http://2130706433/", "http://0x7f.1/", "http://0.0.0.0/", "http://[::1]/"),
        *("http://[::ffff:10.0.0.1]/", "http://10.1.2.3/", "http://192.168.0.1", "http://nas/x"),
        *("http://169.254.169.254/latest", "http://printer.local/", "http://a.internal./"),
        *("http://[fe80::1%25eth0]/", "http://[broken", "http:///x"),
    ],
)
def test_addresses_of_this_machine_and_its_network(address):
    assert is_private(address)


@pytest.mark.parametrize(
    "address", ["https://example.org/a", "http://8.8.8.8/", "http://[2600::]/"]
)
def test_addresses_of_others(address):
    assert not is_private(address)


@pytest.mark.parametrize(
    ("href", "address"),
    [
        ("b.tif", "https://example.org/stac/b.tif"),
        ("../b.tif", "https://example.org/b.tif"),
        ("/etc/passwd", "https://example.org/etc/passwd"),
        ("https://other.org/b.tif?x=1", "https://other.org/b.tif?x=1"),
        ("s3://bucket/a b.tif", "https://bucket.s3.amazonaws.com/a%20b.tif"),
        ("s3://my.bucket/a.tif", "https://s3.amazonaws.com/my.bucket/a.tif"),
    ],
)
def test_what_a_catalogue_on_a_server_names(href, address):
    rules = AddressRules("https://example.org/stac")
    assert rules.absolute("https://example.org/stac/item.json", href) == address


@pytest.mark.parametrize(
    "href",
    [
        *("file:///etc/passwd", "FILE:///C:/secret.tif", "/vsicurl/http://x", "vsi:/vsizip/a"),
        *("http://localhost/x", "http://169.254.169.254/", "ftp://example.org/a.tif", ""),
        *("s3://../a.tif", "s3:///a.tif", "C:/secret.tif", "data:text/plain,x", "a\nb", "\\\\h\\s"),
        *("gs://bucket/a", "http://10.0.0.1/", "netcdf:a.nc", "//localhost/a"),
    ],
)
def test_what_a_catalogue_on_a_server_must_not_name(href):
    rules = AddressRules("https://example.org/stac")
    try:
        address = rules.absolute("https://example.org/stac/item.json", href)
    except AddressError:
        return
    # Some are no more than odd names on the server itself.
    assert address.startswith("https://example.org/")


def test_a_catalogue_of_ones_own_network_names_servers_there():
    rules = AddressRules("http://127.0.0.1:8000/stac")
    assert rules.absolute("http://127.0.0.1:8000/a", "http://nas/b.tif") == "http://nas/b.tif"
    with pytest.raises(AddressError, match="no address of the web") as raised:
        rules.absolute("http://127.0.0.1:8000/a", "file:///etc/passwd")
    assert "--catalog" in raised.value.hint


def test_a_catalogue_in_a_file_names_files_and_servers_when_it_is_trusted(tmp_path):
    root = str(tmp_path / "catalog.json")
    (tmp_path / "a b.tif").touch()
    rules = AddressRules(root)
    assert rules.absolute(root, "./x/y.json") == str(tmp_path / "x" / "y.json")
    assert rules.absolute(root, "a%20b.tif") == str(tmp_path / "a b.tif")
    assert rules.absolute(root, (tmp_path / "a b.tif").as_uri()) == str(tmp_path / "a b.tif")
    for href in ("/vsicurl/http://x", "//host/share/a.tif", "\\\\host\\share", "ftp://x/y"):
        with pytest.raises(AddressError):
            rules.absolute(root, href)
    with pytest.raises(AddressError) as raised:
        rules.absolute(root, "https://example.org/a.tif")
    assert "--allow-remote" in raised.value.hint
    trusted = AddressRules(root, allow_remote=True)
    assert trusted.absolute(root, "https://example.org/a.tif") == "https://example.org/a.tif"


def test_a_token_goes_to_its_servers_alone():
    settings = ReadSettings(token="sv=1&sig=2", token_host=".blob.core.windows.net")
    signed = "https://x.blob.core.windows.net/a.tif?sv=1&sig=2"
    assert settings.address("https://x.blob.core.windows.net/a.tif") == signed
    for href in (
        "https://blob.core.windows.net.evil.org/a.tif",
        "http://x.blob.core.windows.net/a.tif",
        "https://example.org/a.tif",
        "/data/a.tif",
    ):
        assert settings.address(href) == href
