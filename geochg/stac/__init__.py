"""Scenes found by STAC: search, cloud masks, composites, and the COGs that are analysed."""
