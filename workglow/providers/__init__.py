"""Who runs models: one module a provider, imported only when a model's name asks for it."""
