"""Sockets that gateways listen on."""

from __future__ import annotations

import socket
from typing import Final

from daypass.domain.errors import Unavailable

_PORTS_TRIED: Final = 50


def listening_socket(
    host: str, port: int, *, exact: bool = False, shared: bool = False, section: str = "gateway"
) -> socket.socket:
    """Bind to the port, or to the next free one unless it has to be `exact`ly this.

    `::` takes IPv4 too. `shared` binds to that port and no other, beside other processes of the
    same user that do so too: the kernel spreads connections over them. `section` is that of the
    settings. Raises `Unavailable` when the port, or none of 50, is free.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    exact = exact or shared
    last = port + (1 if exact else _PORTS_TRIED)
    for number in range(port, last):
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        try:
            bound.bind((host, number if port else 0))
            # Two that bound at the same moment: only one of them gets to listen.
            bound.listen(1024)
        except OSError:
            bound.close()
            continue
        bound.setblocking(False)
        bound.set_inheritable(False)
        return bound
    tried = f"port {port}" if exact else f"no port from {port} to {last - 1}"
    raise Unavailable(
        f"{tried} on {host} is {'not to be had' if exact else 'free'}",
        next_step=f"set {section}.host and {section}.port",
        code="port_taken",
    )
