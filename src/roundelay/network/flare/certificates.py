"""Certificates that hold as many days as the network's plan says."""

from typing import Any

from nvflare.lighter.impl.cert import CertBuilder


class Certificates(CertBuilder):  # type: ignore[misc]
    """FLARE's builder, whose days are else those of the root alone: all others would hold 360."""

    def _generate_cert(self, *args: Any, **settings: Any) -> Any:
        return super()._generate_cert(*args, **{"valid_days": self.root_valid_days, **settings})
