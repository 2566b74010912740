"""Models of the transformers library: texts read, written, translated; images told apart and described."""
