"""The whole way from two files to a layer, what a run keeps, and what is asked of one place."""
