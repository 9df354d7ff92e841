"""Values that nobody means, and what is always true of an error."""

from hypothesis import strategies as st

from geochg.safety.untrusted_text import cleaned

TEXT = st.text(st.characters(codec=None, categories=None), max_size=40)
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, 2**63, -1, 0, 1e308])
SCALARS = st.none() | st.booleans() | NUMBERS | TEXT
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
)


def told(error):
    """Sure that an error is a clean line or two."""
    text = str(error)
    assert len(text) < 4_200
    assert len(text.splitlines()) <= 2
    assert cleaned(text, 10_000, keep_lines=True) == text
