# SPDX-License-Identifier: Apache-2.0
"""Options of TLS."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Dict, Optional, Tuple, Union

from ._arguments import PathLike, c_text, path_of, wrong_type
from ._native import ffi, lib


@dataclasses.dataclass(frozen=True)
class TLS:
    """How a client connects by TLS.

    What is None comes from the environment variable in parentheses, else the default.

    Attributes:
        ca: PEM file with the authorities that may have signed the daemon's certificate
            (TRIT_TLS_CA; the system's).
        cert: PEM file with this client's certificate chain (TRIT_TLS_CERT; none).
        key: PEM file with its key (TRIT_TLS_KEY).
        server_name: Name that the daemon's certificate must have (TRIT_TLS_SERVER_NAME; the
            host of the address).

    Example:
        >>> trit.TLS(ca="ca.pem", server_name="tritd.example").ca
        'ca.pem'
    """

    ca: Optional[PathLike] = None
    cert: Optional[PathLike] = None
    key: Optional[PathLike] = None
    server_name: Optional[str] = None


AnyTLS = Union[None, bool, PathLike, TLS]


def tls_options(tls: AnyTLS) -> Tuple[Dict[str, Any], Any]:
    """Members of struct trit_connect_options, and what must outlive them."""
    if tls is None:
        return {"tls": lib.TRIT_TLS_DEFAULT}, None
    if tls is False:
        return {"tls": lib.TRIT_TLS_OFF}, None
    if tls is True:
        tls = TLS()
    elif isinstance(tls, (str, os.PathLike)):
        tls = TLS(ca=tls)
    elif not isinstance(tls, TLS):
        raise wrong_type("tls", "a bool, a path of a CA file or a trit.TLS", tls)
    members: Dict[str, Any] = {"tls": lib.TRIT_TLS_ON}
    for name in ("ca", "cert", "key"):
        path = getattr(tls, name)
        field = f"tls.{name}"
        members[f"tls_{name}"] = ffi.NULL if path is None else c_text(path_of(path, field), field)
    members["tls_server_name"] = (
        ffi.NULL if tls.server_name is None else c_text(tls.server_name, "tls.server_name")
    )
    return members, list(members.values())
