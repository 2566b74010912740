"""What providers of models that run elsewhere have in common: where they are, who may call them, and connections."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar
from urllib.parse import urlsplit

from workglow.ai.provider import CredentialReader, Provider
from workglow.ai.record import ModelRecord
from workglow.errors import (
    AuthenticationError,
    InvalidModelError,
    ModelOutputError,
    ModelUnavailableError,
    TaskInputError,
)
from workglow.providers.remote.connections import Connections
from workglow.providers.remote.failures import without_secret
from workglow.providers.remote.pace import Pace
from workglow.tasks import Entitlement

if TYPE_CHECKING:
    from workglow.values import Secret

__all__ = ["RemoteProvider"]

Client = TypeVar("Client", bound=Any)


class RemoteProvider(Provider, Generic[Client]):
    """Calls models over HTTP.

    `address` is where they are unless a record's `base_url`, or the environment variable `address_variable`, says
    otherwise.  The provider's own credential is sent there and nowhere else: a record with a `base_url` names the one
    that is meant for it.  `options` are those that records may have.
    """

    is_local = False
    address: ClassVar[str]
    address_variable: ClassVar[str]
    options: ClassVar[frozenset[str]] = frozenset({"timeout", "connect_timeout", "stall_timeout", "parameters"})

    def __init__(self, credentials: CredentialReader | None = None) -> None:
        super().__init__(credentials)
        self._connections: Connections[Any] = Connections()

    def address_of(self, model: ModelRecord) -> str:
        """Where the model is."""
        return model.base_url or os.environ.get(self.address_variable) or self.address

    def host_of(self, model: ModelRecord) -> str:
        """The name of the machine that the model's calls go to."""
        return urlsplit(self.address_of(model)).hostname or ""

    def anyone(self) -> ModelRecord:
        """Return a record of none of the models, for calls that are about all of them."""
        return ModelRecord(name=f"{self.name}:*", provider=self.name)

    def hosts_asked(self) -> tuple[str, ...]:
        """The service itself, which lists its models."""
        return (self.host_of(self.anyone()),)

    def is_original(self, model: ModelRecord) -> bool:
        """Whether the model is that of the service itself, not of one that speaks its protocol."""
        return self.host_of(model) == urlsplit(self.address).hostname

    def required_entitlements(self, model: ModelRecord) -> tuple[Entitlement, ...]:
        """The network, to the model's host; and the credential, if the record names one."""
        needed = Entitlement("network", (self.host_of(model),), f"to reach the model {model.name!r}")
        if not model.credential:
            return (needed,)
        return needed, Entitlement("credential", (model.credential,), f"for the model {model.name!r}")

    def secret(self, model: ModelRecord) -> Secret | None:
        """Return the credential of a model; None when it needs none.  AuthenticationError when it is not there."""
        if model.base_url and not model.credential:
            return None
        try:
            return super().secret(model)
        except TaskInputError as error:
            raise AuthenticationError(f"No credential for {model.name!r}.  {error}") from None

    async def client(self, model: ModelRecord) -> Client:
        """Return the client of this loop for the model's address and credential."""
        self._check(model)
        address, secret = self.address_of(model), self.secret(model)
        return await self._connections.client((address, secret), lambda: self.connect(address, secret))

    @abstractmethod
    def connect(self, address: str, secret: Secret | None) -> Client:
        """Make a client that tries each call once: whoever calls models remembers what is to be tried again."""

    @abstractmethod
    def failure(self, error: Exception, model: ModelRecord) -> Exception:
        """Return what an error of the client means."""

    @property
    @abstractmethod
    def client_errors(self) -> tuple[type[Exception], ...]:
        """What the client raises."""

    @contextmanager
    def explained(self, model: ModelRecord) -> Generator[None]:
        """Raise what goes wrong inside as what it means, without the credential."""
        try:
            yield
        except self.client_errors as error:
            raise self._explained(error, model) from None
        except (JSONDecodeError, UnicodeDecodeError) as error:
            raise ModelUnavailableError(
                f"{self.who(model)} sent what cannot be read ({type(error).__name__})."
            ) from None

    def _explained(self, error: Exception, model: ModelRecord) -> Exception:
        failure, secret = self.failure(error, model), self.secret(model)
        for told in (failure, error):  # the client's own stays the context of ours
            told.args = tuple(without_secret(str(text), secret) for text in told.args)
        return failure

    def missing(self, what: str, model: ModelRecord) -> ModelOutputError:
        """What to raise for an answer that all is well with, but for what was asked."""
        return ModelOutputError(f"{self.who(model)} did not answer with {what}.  Is its address right?")

    def who(self, model: ModelRecord) -> str:
        """How the service is called in errors."""
        name = self.title or self.name
        return f"{name} ({model.name})" if self.is_original(model) else f"{self.host_of(model)} ({model.name})"

    def pace(self, model: ModelRecord) -> Pace:
        """How long calls of the model may take."""
        return Pace.of(model)

    def parameters(self, model: ModelRecord) -> dict[str, Any]:
        """Return what the record adds to the body of each call."""
        given: Any = model.options.get("parameters", {})
        if not isinstance(given, Mapping):
            raise InvalidModelError(f"Invalid model record: the option parameters of {model.name!r} is no object.")
        return dict(given)  # pyright: ignore[reportUnknownArgumentType]

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    def _check(self, model: ModelRecord) -> None:
        unknown = model.options.keys() - self.options
        if unknown:
            raise InvalidModelError(
                f"Invalid model record: {self.title} knows no option {min(unknown)!r} ({model.name!r}); "
                f"there are {', '.join(sorted(self.options))}."
            )
        parts = urlsplit(self.address_of(model))
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise InvalidModelError(
                f"Invalid model record: the base_url of {model.name!r} is no address such as 'https://host/v1' "
                "without a name and password."
            )
