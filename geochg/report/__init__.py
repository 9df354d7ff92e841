"""The report of a run: one page that works offline, with the pictures and the changes on them."""
