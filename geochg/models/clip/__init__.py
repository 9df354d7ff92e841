"""CLIP and SigLIP as change models: each date is classified, a change of the classes is change."""
