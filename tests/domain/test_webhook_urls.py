# ruff: noqa: RUF001 - characters that look like others are what these tests are about
from __future__ import annotations

import string
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leadline.domain.addresses import AddressPolicy
from leadline.domain.webhook_urls import UnusableUrl, split_target, url_problems

PUBLIC_ONLY = AddressPolicy()
LOOPBACK = AddressPolicy.parse("127.0.0.0/8,::1/128")
PRIVATE = AddressPolicy.parse("10.0.0.0/8")
EVERYTHING = AddressPolicy.parse("0.0.0.0/0,::/0")


def problems(url: str, policy: AddressPolicy = PUBLIC_ONLY, *, require_https: bool = False) -> list[str]:
    return url_problems(url, policy=policy, require_https=require_https)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com/",
        "HTTPS://EXAMPLE.com/Hook",
        "http://example.com:80/",
        "https://example.com:443/",
        "https://example.com:1024/",
        "https://example.com:65535/",
        "https://example.com./hook",
        "https://example.com?x=1",
        "https://example.com/a?b=c?d&e=%zz\\@%",
        "https://my_service.example.com/",
        "https://8.8.8.8/hook",
        "https://[2606:4700::1111]:8443/",
        "https://[::ffff:8.8.8.8]/",
        "https://bücher.example/",
        "https://例え.テスト/",
        "https://xn--bcher-kva.example/",
        "https://127.0.0.1.nip.io/",
        "https://a1.example.com1/",
        "https://svc.example.com/",
        "https://local.example/",
        "https://" + "a" * 63 + ".example/",
        "https://example.com/" + "a" * (2048 - 20),
    ],
)
def test_urls_that_may_be_saved(url: str) -> None:
    assert problems(url) == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "example.com/hook",
        "//example.com/",
        "https:/example.com/",
        "https:example.com",
        "https:///hook",
        "https://?x",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "javascript:alert(1)",
        " https://example.com/",
        "https://example.com/ ",
        "https://example.com/\n",
        "\thttps://example.com/",
        "ht\ntps://example.com/",
        "https://exa\tmple.com/",
        "https://example.com/a b",
        "https://example.com/\x00",
        "https://example.com/\x7f",
        "https://example.com/\u2028",
        "https://example.com/\u00e9",
        "https://example.com/?q=\u00e9",
        "https://example.com/\ud800",
        "https://\ud800.com/",
        "https://example.com/#",
        "https://example.com/#part",
        "https://example.com#",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://@example.com/",
        "https://:@example.com/",
        "https://example.com@127.0.0.1/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com\\.evil.com/",
        "https://127.0.0.1\\.example.com/",
        "https://%31%32%37.0.0.1/",
        "https://example%2ecom/",
        "https://[fe80::1%25eth0]/",
        "https://[fe80::1%eth0]/",
        "https://example.com:/",
        "https://example.com:0/",
        "https://example.com:22/",
        "https://example.com:81/",
        "https://example.com:1023/",
        "https://example.com:65536/",
        "https://example.com:99999999999999/",
        "https://example.com:0443/",
        "https://example.com:+443/",
        "https://example.com:-1/",
        "https://example.com:443:443/",
        "https://example.com:４４３/",
        "https://[::1/",
        "https://::1/",
        "https://[]/",
        "https://[1.2.3.4]/",
        "https://[v1.a]/",
        "https://[::1]x/",
        "https://x[::1]/",
        "https://.example.com/",
        "https://example..com/",
        "https://example.com../",
        "https://./",
        "https://exa$mple.com/",
        "https://exa mple.com/",
        "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 127 + "com/",
        "https://☃.net/",
        "https://xn--\u00e9.com/",
        "https://example.com/" + "a" * (2048 - 19),
    ],
)
@pytest.mark.parametrize("policy", [PUBLIC_ONLY, EVERYTHING], ids=["nothing allowed", "everything allowed"])
def test_malformed_urls_are_refused_whatever_is_allowed(url: str, policy: AddressPolicy) -> None:
    assert problems(url, policy) != []


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7F.0.0.1",
        "0x",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.1",
        "127.0.0.1.",
        "127.0.0.01",
        "127.0.0.256",
        "127.0.0.0x1",
        "1.2.3.4.5",
        "example.123",
        "example.0xff",
        "example.com.1.",
        "８.8.8.8",
        "8。8。8。8",
        "8．8．8．8",
        "8｡8｡8｡8",
        "①27.0.0.1",
        "example。com",
        "example․com",
        "𝟏𝟐𝟕.0.0.1",
        "１２７.0.0.1",
        "¹²⁷.0.0.1",
        "a＠b.com",
        "a：1.com",
        "a／b.com",
        "a％2e.com",
    ],
)
@pytest.mark.parametrize("policy", [PUBLIC_ONLY, EVERYTHING], ids=["nothing allowed", "everything allowed"])
def test_other_spellings_of_addresses_are_refused_whatever_is_allowed(
    host: str, policy: AddressPolicy
) -> None:
    assert problems(f"https://{host}/", policy) != []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.1.1",
        "0.0.0.0",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:0001]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fd00::1]",
        "127.0.0\u00ad.1",
        "1\u200b27.0.0.1",
    ],
)
def test_literal_addresses_that_are_not_public_are_refused(host: str) -> None:
    assert problems(f"https://{host}/") != []
    assert problems(f"https://{host}/", EVERYTHING) == []


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "localhost.localdomain",
        "x.LocalDomain.",
        "ｌocalhost",
        "local\u00adhost",
    ],
)
def test_names_of_this_machine_need_an_allowed_loopback_address(host: str) -> None:
    assert problems(f"https://{host}/") != []
    assert problems(f"https://{host}/", PRIVATE) != []
    assert problems(f"https://{host}/", LOOPBACK) == []


@pytest.mark.parametrize(
    "host",
    [
        "receiver",
        "receiver.",
        "printer.local",
        "PRINTER.LOCAL.",
        "metadata.google.internal",
        "nas.home.arpa",
        "home.arpa",
        "app.default.svc",
        "app.default.svc.cluster.local",
        "bücher",
        "x.ｌocal",
    ],
)
def test_private_names_need_any_allowed_range(host: str) -> None:
    assert problems(f"https://{host}/") != []
    assert problems(f"https://{host}/", PRIVATE) == []


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:a9fe:a9fe]", "168.63.129.16"]
)
def test_metadata_literals_are_refused_whatever_is_allowed(host: str) -> None:
    assert "metadata" in "".join(problems(f"http://{host}/", EVERYTHING))


@pytest.mark.parametrize(
    ("authority", "told"),
    [
        ("a\\b.com", "backslash"),
        ("a%2eb.com", "percent sign"),
        ("a\tb.com", "control characters"),
        ("a@b.com", "user name"),
        ("１.b.com", "look like"),
    ],
)
def test_what_is_wrong_with_an_authority_is_told(authority: str, told: str) -> None:
    assert told in "\n".join(problems(f"https://{authority}/"))


def test_plain_http_is_refused_where_https_is_required() -> None:
    assert problems("http://example.com/", require_https=True) != []
    assert problems("https://example.com/", require_https=True) == []


def test_every_broken_rule_is_told() -> None:
    found = problems("http://a:b@127.0.0.1:22/ü?a b#c" + "x" * 2048, require_https=True)
    told = "\n".join(found)
    for part in ("2048", "https://", "user name", "fragment", "spaces", "ASCII", "80, 443", "loopback"):
        assert part in told
    assert len(found) == 8
    assert all(problem.endswith(".") for problem in found)


def test_a_target_says_what_to_resolve_and_what_to_send() -> None:
    target = split_target("HTTPS://Hooks.Example.COM:8443/a/../b?c=%41#"[:-1])
    assert (target.scheme, target.ascii_host, target.port) == ("https", "hooks.example.com", 8443)
    assert target.host_header == "Hooks.Example.COM:8443"
    assert target.request_target == b"/a/../b?c=%41"
    assert target.literal is None


@pytest.mark.parametrize(
    ("url", "host_header", "request_target"),
    [
        ("http://example.com", "example.com", b"/"),
        ("http://example.com:80?", "example.com", b"/?"),
        ("https://example.com:80/?", "example.com:80", b"/?"),
        ("http://[2606:4700::1111]/", "[2606:4700::1111]", b"/"),
        ("https://bücher.example:8443/", "xn--bcher-kva.example:8443", b"/"),
        ("http://example.com.//x", "example.com.", b"//x"),
    ],
)
def test_host_header_and_request_target(url: str, host_header: str, request_target: bytes) -> None:
    target = split_target(url)
    assert (target.host_header, target.request_target) == (host_header, request_target)


def test_the_literal_of_a_target_is_its_address() -> None:
    assert split_target("http://127.0.0.1/").literal == IPv4Address("127.0.0.1")
    assert split_target("http://[::1]:8080/").literal == IPv6Address("::1")


@pytest.mark.parametrize(
    "url", ["", "ftp://example.com/", "https://", "https://a@b/", "https://a:99999/", "http://a/é"]
)
def test_what_cannot_be_called_is_no_target(url: str) -> None:
    with pytest.raises(UnusableUrl) as refused:
        split_target(url)
    assert refused.value.problems


hosts = st.text(
    st.characters() | st.sampled_from(string.ascii_letters + string.digits + ".-[]:%@\\。．"), max_size=30
)
urls = st.one_of(
    st.text(),
    st.builds("https://{}/{}".format, hosts, st.text(max_size=10)),
    st.builds("http://{}.com:{}?{}".format, hosts, st.integers(), st.text(string.printable, max_size=10)),
    st.builds("http://{}".format, st.ip_addresses(v=4)),
    st.builds("http://[{}]".format, st.ip_addresses(v=6)),
)


@settings(max_examples=500)
@given(urls, st.sampled_from([PUBLIC_ONLY, LOOPBACK, EVERYTHING]), st.booleans())
@example("https://" + "\u00e9" * 2000, PUBLIC_ONLY, True)
@example("https://xn--/", PUBLIC_ONLY, False)
@example("https://\u0130.com", PUBLIC_ONLY, False)
def test_judging_never_raises_and_what_is_accepted_can_be_called(
    url: str,
    policy: AddressPolicy,
    require_https: bool,
) -> None:
    if url_problems(url, policy=policy, require_https=require_https):
        return
    target = split_target(url)
    assert target.ascii_host.isascii()
    assert target.ascii_host == target.ascii_host.lower()
    assert url.encode().endswith(target.request_target.removeprefix(b"/"))
    assert target.port in {80, 443} or 1024 <= target.port <= 65535
    assert target.literal is None or policy.refusal(target.literal) is None


@given(st.ip_addresses())
def test_a_literal_may_be_saved_exactly_when_its_address_may_be_called(
    address: IPv4Address | IPv6Address,
) -> None:
    host = str(address) if address.version == 4 else f"[{address}]"
    assert (problems(f"https://{host}/") == []) == (PUBLIC_ONLY.refusal(address) is None)
