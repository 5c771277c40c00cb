"""Where the daemon tells of itself."""

from __future__ import annotations

from typing import Final, Self

from pydantic import model_validator

from reconciler.model.resource import Line, Model

DEFAULT_LISTEN: Final = "127.0.0.1:9465"
OFF: Final = "off"


class MetricsTls(Model):
    """How other machines may ask for metrics: by a certificate of theirs, and sure of whom they ask."""

    certificate: Line | None = None
    """File with the certificate that is shown to whoever asks for metrics or health."""
    key: Line | None = None
    """File with its key, which only the controller's user should be able to read."""
    client_ca: Line | None = None
    """File with the certificate of who signs those of Prometheus: nobody else is answered."""

    @property
    def is_complete(self) -> bool:
        return self.certificate is not None

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if len({value is None for value in (self.certificate, self.key, self.client_ca)}) > 1:
            raise ValueError("certificate, key and clientCa go together: a page that is not for everybody needs all")
        return self
