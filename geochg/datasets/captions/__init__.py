"""What is known of a pair, told in words: facts, sentences and instruction rows."""
