"""Labels that a place gained or lost between two dates, by models that tell of one image."""
