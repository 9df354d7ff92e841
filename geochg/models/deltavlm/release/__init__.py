"""From the released checkpoint of DeltaVLM to a model folder."""
