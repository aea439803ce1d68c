"""A certificate authority of one run and a server certificate for 127.0.0.1 under it; the portal checks both."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sendserver.lib import clock


def make(folder: Path) -> Path:
    """Write `ca.pem` and `server.pem` (certificate and key) into `folder` and return the latter."""
    authority = ec.generate_private_key(ec.SECP256R1())
    root = _certificate("Relay test authority", authority.public_key(), authority, issuer="Relay test authority")
    key = ec.generate_private_key(ec.SECP256R1())
    server = _certificate("relay.example", key.public_key(), authority, issuer="Relay test authority")
    (folder / "ca.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    both = folder / "server.pem"
    both.write_bytes(server.public_bytes(serialization.Encoding.PEM) + private)
    both.chmod(0o600)
    return both


def _certificate(
    name: str, public: ec.EllipticCurvePublicKey, signer: ec.EllipticCurvePrivateKey, *, issuer: str
) -> x509.Certificate:
    is_authority = name == issuer
    now = clock.now()
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if not is_authority:
        name_of_host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = builder.add_extension(name_of_host, critical=False)
    return builder.sign(signer, hashes.SHA256())
