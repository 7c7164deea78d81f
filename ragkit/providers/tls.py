"""The one TLS context of a service: the system's authorities, one's own as well, and a client certificate.

GigaChat's chain ends in the Russian Trusted Root CA, which neither Python nor most systems carry: its file is
added, so that nobody has a reason to switch verification off.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
from pathlib import Path

from ragkit.errors import ConfigError
from ragkit.secret import Secret

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def context(
    ca_file: str = "",
    cert_file: str = "",
    key_file: str = "",
    key_password: Secret | None = None,
    *,
    insecure_host: str = "",
) -> ssl.SSLContext:
    """Reads files when called. Raises ConfigError for one that is missing or is not what it should be.

    Args:
        ca_file: authorities to trust besides those of the system, PEM (any number) or DER (one).
        cert_file: our own certificate with its chain, PEM; the key too, where `key_file` is empty.
        key_password: of the key file.
        insecure_host: the one host that this context is for, where its certificate is not to be checked, which is
            said aloud. Empty checks.
    """
    # Not ssl.create_default_context: from 3.13 on it is strict about fields that private authorities leave out.
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if not insecure_host:
        _trust_usual(made)
        if ca_file:
            _trust(made, ca_file)
    else:
        _warn(insecure_host)
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if cert_file:
        _identify(made, cert_file, key_file, key_password)
    elif key_file:
        raise ConfigError(f"a key file is given without a certificate: {key_file}", "give the certificate file too")
    return made


def _trust_usual(made: ssl.SSLContext) -> None:
    made.load_default_certs()
    if not (os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")):
        import certifi  # Python from python.org and small containers come without any authority

        made.load_verify_locations(certifi.where())


def _trust(made: ssl.SSLContext, ca_file: str) -> None:
    data = _read(ca_file, "certificate authority")
    try:
        if blocks := _PEM.findall(data):  # what stands around the blocks may be in any language and encoding
            made.load_verify_locations(cadata=b"\n".join(blocks).decode("ascii"))
        else:
            made.load_verify_locations(cadata=data)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(
            f"{ca_file} holds no certificate in PEM or DER: {_reason(error)}",
            "download the root certificate again, in PEM or DER (.crt, .cer)",
        ) from None


def _identify(made: ssl.SSLContext, cert_file: str, key_file: str, password: Secret | None) -> None:
    for path in filter(None, (cert_file, key_file)):
        _read(path, "client certificate or key")
    try:
        # An empty password still keeps OpenSSL from asking on the terminal.
        made.load_cert_chain(cert_file, key_file or None, password=password.reveal() if password else "")
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(
            f"the client certificate {cert_file} cannot be used with {key_file or 'a key in the same file'}:"
            f" {_reason(error)}",
            "both must be PEM and belong together; an encrypted key needs its password",
        ) from None


def _read(path: str, what: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"the {what} file {path} cannot be read: {error.strerror}", "check the path") from None


def _reason(error: Exception) -> str:
    return (getattr(error, "reason", None) or "wrong format").replace("_", " ").lower()


def _warn(host: str) -> None:
    logging.getLogger("ragkit").warning(
        "the certificate of %s is not checked, as insecure_tls_host says: anybody on the way can read and change"
        " what is sent, keys included; `ragkit doctor tls` tells how to trust it rightly",
        host,
    )
