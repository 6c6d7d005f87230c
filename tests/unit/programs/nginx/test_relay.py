"""The relay's certificate: the same on every node and in every release."""

from hashlib import sha256

from cryptography import x509

from sidecar.programs.nginx.relay import NAME, derive
from tests.unit.settings.example import REQUIRED

SECRET = REQUIRED["HA_SECRET"]


def test_the_certificate_is_the_same_bit_for_bit() -> None:
    """Nodes of two releases talk: a change here needs another purpose."""
    certificate, key = derive(SECRET)
    assert derive(SECRET) == (certificate, key)
    assert sha256(certificate.encode()).hexdigest()[:16] == "5c29eca753a91e41"
    assert derive(f"{SECRET}x")[0] != certificate


def test_it_is_for_every_node_and_has_no_end() -> None:
    certificate = x509.load_pem_x509_certificate(derive(SECRET)[0].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == [NAME]
    assert (certificate.not_valid_before_utc.year, certificate.not_valid_after_utc.year) == (
        2000,
        9999,
    )
