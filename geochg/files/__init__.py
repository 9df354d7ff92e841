"""Files as people, other programs and file systems make them."""
