"""The hosts that are exempt from the proxy."""

import urllib.request

import pytest

from server.process import proxies


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1"])
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_loopback_and_previously_exempt_hosts_bypass_the_proxy(
    url: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(each, raising=False)
    environment = {name: "internal.example"}
    proxies.exempt_loopback(environment)
    for each, value in environment.items():
        monkeypatch.setenv(each, value)
    hosts = [urllib.request.Request(address).host for address in (url, "http://internal.example", "http://example.com")]
    assert [bool(urllib.request.proxy_bypass(host)) for host in hosts] == [True, True, False]
