"""The backend `vlm`: vision-language models of the transformers library, of several families."""
