"""A layer of polygons held against an image: what is there, what is gone, what is missing."""
