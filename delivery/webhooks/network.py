"""One POST to an address that somebody else chose, without letting them reach into our own network.

The name is resolved once, every address it has must be allowed, and the connection goes to exactly the address that
was checked: a name that answers otherwise a moment later gains nothing. The certificate is still checked against the
name. No redirect is followed, no proxy of the environment used, and of the answer only its head is read.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from django.conf import settings

from personalize.core.errors import DomainError, InvalidInput

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MOST_HEAD = 16 * 1024  # bytes of an answer that are read at most
_LONGEST_URL = 500
_STATUS = re.compile(rb"HTTP/1\.[01] ([2-5]\d\d)(?: [^\r\n]*)?\r?\n")
_RETRY_AFTER = re.compile(rb"\r?\nretry-after:[ \t]*(\d{1,6})[ \t]*\r?\n", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?\.?|[0-9a-f:.]+")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_WEB_PORTS = frozenset({80, 443})


class NotSent(DomainError):
    """The POST got no answer. The message names no address: it is shown to whoever manages the endpoint."""

    code = "webhook_not_sent"


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart. `host` is in ASCII and lower case, without the brackets of IPv6."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.scheme == "https" else 80
        return host if self.port == usual else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """`retry_after`: seconds, if the receiver named some."""

    status: int
    retry_after: int | None
    seconds: float


def parse(url: str) -> Target:
    """The target of a URL; raises InvalidInput if it is none that we would post to. Resolves nothing."""
    if len(url) > _LONGEST_URL or not url.isprintable() or " " in url or "\\" in url:
        raise _unusable("must be one line of at most 500 characters, without spaces and backslashes")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
        host = host if ":" in host else host.encode("idna").decode("ascii").lower()
    except (ValueError, UnicodeError) as error:
        raise _unusable("is not an address like https://crm.example.com/hooks") from error
    if parts.scheme not in ("https", "http"):
        raise _unusable("must begin with https://")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise _unusable("must not hold a name or password: the signature says who sends")
    if parts.fragment:
        raise _unusable("must not have a part behind #")
    if not _HOST.fullmatch(host):
        raise _unusable("names no host")
    if parts.scheme == "http" and not allowed_networks():
        raise _unusable("must begin with https://; http is for networks of WEBHOOK_ALLOWED_NETWORKS alone")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        raise _unusable("must have other than ASCII characters percent-encoded")
    port = port if port is not None else (443 if parts.scheme == "https" else 80)
    if port not in _WEB_PORTS and port < 1024:
        raise _unusable("must use port 443, 80 or one from 1024 up")
    return Target(parts.scheme, host, port, path)


def check(target: Target) -> list[Address]:
    """Resolve the host; all its addresses, if each of them may be posted to. Raises NotSent otherwise."""
    try:
        found = socket.getaddrinfo(
            target.host, target.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )
    except (OSError, UnicodeError) as error:
        raise NotSent("The host of the address cannot be resolved.") from error
    addresses = list(dict.fromkeys(_address(entry[4][0]) for entry in found))
    if not addresses:
        raise NotSent("The host of the address cannot be resolved.")
    for address in addresses:
        inside = any(
            address in network for network in allowed_networks() if network.version == address.version
        )
        if not inside and (target.scheme == "http" or not is_public(address)):
            raise NotSent(
                "The host lies in a network that is not public. An operator can allow it with "
                "WEBHOOK_ALLOWED_NETWORKS."
            )
    return addresses


def is_public(address: Address) -> bool:
    """Whether this is an address of the open internet, also where one kind of address holds another."""
    if isinstance(address, ipaddress.IPv6Address):
        held = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            held = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if held is not None:
            return is_public(held)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def allowed_networks() -> Sequence[Network]:
    """Those of WEBHOOK_ALLOWED_NETWORKS."""
    return _networks(tuple(settings.WEBHOOK_ALLOWED_NETWORKS))


def post(target: Target, *, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
    """POST and read the head of the answer, all within `timeout` seconds. Raises NotSent if there is none.

    Of several addresses the first that accepts a connection gets it.
    """
    started = time.monotonic()
    until = started + timeout
    try:
        with _connect(target, check(target), until) as stream:
            stream.settimeout(_left(until))
            stream.sendall(_request(target, body, headers))
            head = _read_head(stream, until)
    except TimeoutError as error:
        raise NotSent(f"No answer within {timeout:g} seconds.") from error
    except ssl.SSLCertVerificationError as error:
        raise NotSent("The certificate is not valid for this host.") from error
    except ssl.SSLError as error:
        raise NotSent("No TLS connection could be made.") from error
    except OSError as error:
        raise NotSent("The connection was refused or broke.") from error
    found = _STATUS.match(head)
    if found is None:
        raise NotSent("The answer was not HTTP.")
    wait = _RETRY_AFTER.search(head)
    return Answer(int(found[1]), int(wait[1]) if wait else None, time.monotonic() - started)


def _connect(target: Target, addresses: Sequence[Address], until: float) -> socket.socket:
    last: OSError | None = None
    for address in addresses:
        try:
            plain = socket.create_connection((str(address), target.port), timeout=_left(until))
        except OSError as error:
            last = error
            continue
        if target.scheme == "http":
            return plain
        try:
            return _context().wrap_socket(plain, server_hostname=target.host)
        except BaseException:
            plain.close()
            raise
    assert last is not None
    raise last


def _request(target: Target, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [
        f"POST {target.path} HTTP/1.1",
        f"Host: {target.authority}",
        "User-Agent: Personalize-Webhooks/1",
        "Content-Type: application/json",
        "Accept: */*",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body


def _read_head(stream: socket.socket, until: float) -> bytes:
    """Up to the end of the head, or as much of it as we care to read."""
    head = b""
    while len(head) < MOST_HEAD:
        stream.settimeout(_left(until))
        received = stream.recv(4096)
        if not received:
            break
        head += received
        end = re.search(rb"\r?\n\r?\n", head)
        if end and head.startswith(b"HTTP/1.1 1"):  # "100 Continue" and its like come before the answer
            head = head[end.end() :]
        elif end:
            return head[: end.end()]
    return head


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _address(text: str | int) -> Address:
    return ipaddress.ip_address(str(text).partition("%")[0])


@cache
def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


@cache
def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _unusable(why: str) -> InvalidInput:
    return InvalidInput(f"The address {why}.", field="url")
