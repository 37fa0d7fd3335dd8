"""Whoever names an address must not reach into our network by it."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from delivery.webhooks import network
from personalize.core.errors import InvalidInput
from tests.delivery.receiver import receiving

LOCAL = ["127.0.0.0/8", "::1/128"]


def post(url: str, *, timeout: float = 2) -> network.Answer:
    return network.post(network.parse(url), body=b"{}", headers={"webhook-id": "msg_1"}, timeout=timeout)


@pytest.mark.parametrize(
    "url",
    ["", "ftp://crm.example.com", "//crm.example.com", "crm.example.com", "https://", "https:///x",
     "https://user@crm.example.com", "https://user:pw@crm.example.com", "https://crm.example.com/#x",
     "https://crm.example.com:25/", "https://crm.example.com:0/", "https://crm.example.com:99999/",
     "https://crm.example.com/\r\nX: y", "https://crm.example.com/a b", "https://crm.example.com\\@127.0.0.1/",
     "https://[::1", "https://crm..example.com/" + "x" * 600, "https://crm.example.com/ü", "http://crm.example.com",
     "javascript:alert(1)", "file:///etc/passwd", "gopher://crm.example.com:70/", "https://a\x00b.example.com"],
)  # fmt: skip
def test_addresses_that_are_refused_as_they_stand(url: str) -> None:
    with pytest.raises(InvalidInput):
        network.parse(url)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "0", "0.0.0.0", "10.0.0.1", "172.16.5.4", "192.168.1.1",
     "169.254.169.254", "100.64.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1",
     "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]",
     "[fc00::1]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]", "localhost"],
)  # fmt: skip
def test_hosts_inside_are_refused(host: str) -> None:
    with pytest.raises(network.NotSent, match="not public"):
        network.check(network.parse(f"https://{host}/hooks"))


@pytest.mark.parametrize("text", ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_addresses_of_the_open_internet_are_allowed(text: str) -> None:
    assert network.is_public(ipaddress.ip_address(text))


def test_one_private_address_among_several_is_enough_to_refuse(monkeypatch: Any) -> None:
    def resolve(host: str, port: int, **_: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("1.1.1.1", "10.0.0.9")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(network.NotSent, match="not public"):
        post("https://crm.example.com/")


def test_the_connection_goes_to_the_address_that_was_checked(settings: Any, monkeypatch: Any) -> None:
    """A name that answers otherwise the second time is asked once only."""
    settings.WEBHOOK_ALLOWED_NETWORKS = LOCAL
    asked = []

    def resolve(host: Any, port: int, *_: Any, **__: Any) -> Any:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    with receiving() as receiver:
        real = socket.getaddrinfo

        def only_names(host: Any, *args: Any, **more: Any) -> Any:
            return resolve(host, *args, **more) if host == "crm.example.com" else real(host, *args, **more)

        monkeypatch.setattr(socket, "getaddrinfo", only_names)
        answer = post(f"http://crm.example.com:{receiver.port}/hooks?x=1")

    assert answer.status == 204 and asked == ["crm.example.com"]
    assert receiver.taken[0].headers["host"] == f"crm.example.com:{receiver.port}"
    assert receiver.taken[0].path == "/hooks?x=1"


def test_plain_http_is_for_allowed_networks_alone(settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["10.9.0.0/16"]
    with pytest.raises(network.NotSent):
        post("http://1.1.1.1/")


def test_redirects_are_not_followed(settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = LOCAL
    with receiving() as inside, receiving(answer=lambda taken: (302, {"Location": inside.url})) as outside:
        assert post(outside.url).status == 302
        assert inside.taken == []


def test_a_proxy_of_the_environment_is_not_used(settings: Any, monkeypatch: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = LOCAL
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with receiving() as receiver:
        assert post(receiver.url).status == 204


def test_an_answer_that_drips_is_cut_off_in_time(settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = LOCAL
    with receiving(drip=True) as receiver:
        started = time.monotonic()
        with pytest.raises(network.NotSent, match="No answer within"):
            post(receiver.url, timeout=1)
        assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 999 x\r\n\r\n", b"x" * 100_000, b"HTTP/1.1 abc\r\n\r\n"],
    ids=["nothing", "ssh", "odd status", "endless", "no status"],
)
def test_what_is_no_http_is_no_answer(answer: bytes, settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = LOCAL
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            stream, _ = server.accept()
            with stream:
                stream.recv(65536)
                with contextlib.suppress(OSError):
                    stream.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(network.NotSent):
            post(f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join()


def test_answers_before_the_answer_are_passed_over(settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = LOCAL
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            stream, _ = server.accept()
            with stream:
                stream.recv(65536)
                stream.sendall(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Later\r\nRetry-After: 7\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        answer = post(f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join()
    assert (answer.status, answer.retry_after) == (503, 7)


def test_nobody_there_is_said_without_an_address(settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = LOCAL
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(network.NotSent) as caught:
        post(f"http://127.0.0.1:{port}/")
    assert str(caught.value) == "The connection was refused or broke."


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """For localhost, signed by nobody that is known."""
    path = tmp_path / "pair.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "crt"), "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes((tmp_path / "key").read_bytes() + (tmp_path / "crt").read_bytes())
    return path


def test_certificates_are_checked_against_the_name(
    settings: Any, certificate: Path, monkeypatch: Any
) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = LOCAL
    with receiving(certificate=certificate) as receiver:
        with pytest.raises(network.NotSent, match="certificate"):
            post(receiver.url)
        network._context().load_verify_locations(certificate)  # now its signer is known
        try:
            assert post(receiver.url).status == 204
            with pytest.raises(network.NotSent, match="certificate"):  # the same server by another name
                post(f"https://127.0.0.1:{receiver.port}/")
        finally:
            network._context.cache_clear()
        assert len(receiver.taken) == 1
