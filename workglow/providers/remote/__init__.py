"""Models that run elsewhere and are reached over HTTP: what the providers of such models share."""
