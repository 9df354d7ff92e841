"""Builder of instruction rows from pairs with masks: cutting, splitting, counting, captions."""
