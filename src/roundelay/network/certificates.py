"""How long a certificate holds."""

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509


def days_left(path: Path) -> int | None:
    """Whole days until a PEM certificate ends; None where there is none to read."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None
    return (certificate.not_valid_after_utc - datetime.now(UTC)).days
