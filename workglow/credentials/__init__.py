"""Secrets, such as API keys: where they are kept, and the references that stand for them everywhere else."""

from workglow.credentials.credentials import Credential, Credentials

__all__ = ["Credential", "Credentials"]
