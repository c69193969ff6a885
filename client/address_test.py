"""Tests of how server addresses are parsed."""

import pytest

from client.address import Address, parse


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("calculator-abc.a.run.app", Address("calculator-abc.a.run.app:443", "calculator-abc.a.run.app", is_tls=True)),
        (
            "https://calculator.example.com/",
            Address("calculator.example.com:443", "calculator.example.com", is_tls=True),
        ),
        ("https://localhost:8443", Address("localhost:8443", "localhost", is_tls=True)),
        ("example.com:443", Address("example.com:443", "example.com", is_tls=True)),
        ("localhost", Address("localhost:443", "localhost", is_tls=True)),
        ("localhost:50051", Address("localhost:50051", "localhost")),
        ("10.0.0.1:8080", Address("10.0.0.1:8080", "10.0.0.1")),
        ("[::1]:50051", Address("[::1]:50051", "[::1]")),
        ("[::1]", Address("[::1]:443", "[::1]", is_tls=True)),
        ("unix:server.sock", Address("unix:server.sock")),
        ("unix:///run/server.sock", Address("unix:///run/server.sock")),
        ("dns:///localhost:50051", Address("dns:///localhost:50051")),
        ("ipv4:127.0.0.1:50051,127.0.0.1:50052", Address("ipv4:127.0.0.1:50051,127.0.0.1:50052")),
    ],
)
def test_parse_returns_the_target_the_host_and_whether_it_implies_tls(text: str, address: Address) -> None:
    assert parse(text) == address


@pytest.mark.parametrize(
    ("text", "is_loopback"),
    [
        ("localhost:1", True),
        ("127.1.2.3:1", True),
        ("[::1]:1", True),
        ("localhost.example.com:1", False),
        ("127.0.0.1.example.com:1", False),
        ("0.0.0.0:1", False),
        ("unix:x", False),
    ],
)
def test_is_loopback_holds_for_this_machine_only(text: str, *, is_loopback: bool) -> None:
    assert parse(text).is_loopback is is_loopback


@pytest.mark.parametrize("text", ["localhost:99999", "localhost:0", "http://localhost:80", "https://localhost/path"])
def test_parse_rejects_urls_and_ports_that_grpc_would_misread(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' is invalid: "):
        parse(text)


def test_the_audience_is_the_url_of_the_service_without_a_port() -> None:
    assert parse("https://calculator-abc.a.run.app:443/").audience == "https://calculator-abc.a.run.app"
    assert parse("unix:x").audience == ""


def test_is_cloud_run_holds_for_subdomains_of_run_app_only() -> None:
    assert parse("calculator-abc.a.run.app").is_cloud_run
    assert not parse("run.app.example.com").is_cloud_run
    assert not parse("fakerun.app").is_cloud_run
