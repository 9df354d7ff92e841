"""Many dates of one place: what is observed at each, and when a place left its usual course."""
