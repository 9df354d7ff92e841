"""`geochg train trees`: classifiers of whole tiles, learned from a hundred labelled ones."""
