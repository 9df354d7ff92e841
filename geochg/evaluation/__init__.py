"""Models asked about labelled pairs, and how their answers compare with the labels."""
