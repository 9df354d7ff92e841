"""Change models: the contract they keep, how they are found, and one file or folder for each."""
