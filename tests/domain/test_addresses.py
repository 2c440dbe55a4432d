from __future__ import annotations

import subprocess
import sys
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leadline.domain.addresses import AddressPolicy, InvalidCidrs, unmapped

PUBLIC_ONLY = AddressPolicy()
EVERYTHING = AddressPolicy.parse("0.0.0.0/0,::/0")


@pytest.mark.parametrize(
    "text",
    [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2000::1",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2003::1",
        "2606:2800:220:1:248:1893:25c8:1946",
        "3ffe::1",
        "3fff:1000::1",
        "::ffff:8.8.8.8",
    ],
)
def test_public_addresses_may_be_called(text: str) -> None:
    assert PUBLIC_ONLY.refusal(ip_address(text)) is None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("10.0.0.0", "private"),
        ("10.255.255.255", "private"),
        ("100.64.0.0", "cgnat"),
        ("100.127.255.255", "cgnat"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.255", "loopback"),
        ("169.254.0.1", "link_local"),
        ("172.16.0.0", "private"),
        ("172.31.255.255", "private"),
        ("192.0.0.1", "reserved"),
        ("192.0.2.1", "documentation"),
        ("192.88.99.1", "reserved"),
        ("192.168.1.1", "private"),
        ("198.18.0.0", "benchmark"),
        ("198.19.255.255", "benchmark"),
        ("198.51.100.1", "documentation"),
        ("203.0.113.1", "documentation"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::127.0.0.1", "reserved"),
        ("::2", "reserved"),
        ("::ffff:0:10.0.0.1", "reserved"),
        ("64:ff9b::8.8.8.8", "tunnel"),
        ("64:ff9b:1::1", "tunnel"),
        ("100::1", "reserved"),
        ("1fff:ffff::1", "reserved"),
        ("2001::1", "tunnel"),
        ("2001:2::1", "benchmark"),
        ("2001:10::1", "reserved"),
        ("2001:1ff:ffff::1", "reserved"),
        ("2001:db8::1", "documentation"),
        ("2002:808:808::1", "tunnel"),
        ("3fff::1", "documentation"),
        ("3fff:fff:ffff::1", "documentation"),
        ("4000::1", "reserved"),
        ("fc00::1", "private"),
        ("fdff::1", "private"),
        ("fe80::1", "link_local"),
        ("fe80::1%eth0", "link_local"),
        ("fec0::1", "private"),
        ("ff02::1", "multicast"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:0.0.0.0", "unspecified"),
    ],
)
def test_closed_addresses_are_refused_by_their_rule(text: str, rule: str) -> None:
    assert PUBLIC_ONLY.refusal(ip_address(text)) == rule


METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd00:ec2::254%eth0",
    "fe80::a9fe:a9fe%2",
    "::ffff:169.254.169.254",
    "::169.254.169.254",
    "::ffff:0:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::169.254.169.254",
    "64:ff9b:1:a9fe:a9:fe00::",
    "2002:a9fe:a9fe::1",
    "2001:0:a9fe:a9fe::1",
    "2001:0:102:304:0:0:5601:5601",
    "2606:2800:a9fe:a9fe::1",
    "fe80::5efe:169.254.169.254",
    "2002:a83f:8110::",
]


@pytest.mark.parametrize("text", METADATA)
@pytest.mark.parametrize("policy", [PUBLIC_ONLY, EVERYTHING], ids=["nothing allowed", "everything allowed"])
def test_metadata_addresses_stay_closed_in_every_form(text: str, policy: AddressPolicy) -> None:
    assert policy.refusal(ip_address(text)) == "metadata"


def test_naming_a_metadata_address_does_not_open_it() -> None:
    policy = AddressPolicy.parse("169.254.169.254/32,fd00:ec2::254")
    assert policy.refusal(ip_address("169.254.169.254")) == "metadata"
    assert policy.refusal(ip_address("fd00:ec2::254")) == "metadata"


def test_allowed_ranges_open_exactly_themselves() -> None:
    policy = AddressPolicy.parse(" 127.0.0.0/8 , ::1/128,10.1.2.3")
    for text in ("127.0.0.1", "::1", "::ffff:127.0.0.9", "10.1.2.3"):
        assert policy.refusal(ip_address(text)) is None
    for text in ("10.1.2.4", "::2", "192.168.0.1", "::127.0.0.1"):
        assert policy.refusal(ip_address(text)) is not None


def test_a_mapped_range_opens_the_ipv4_range() -> None:
    policy = AddressPolicy.parse("::ffff:10.0.0.0/104")
    assert policy.refusal(ip_address("10.9.9.9")) is None
    assert policy.refusal(ip_address("11.0.0.1")) is None  # public anyway
    assert policy.refusal(ip_address("192.168.0.1")) == "private"


@pytest.mark.parametrize("text", ["", "  "])
def test_blank_text_opens_nothing(text: str) -> None:
    assert AddressPolicy.parse(text) == PUBLIC_ONLY
    assert not PUBLIC_ONLY.opens_anything
    assert not PUBLIC_ONLY.opens_loopback


def test_every_wrong_entry_is_named() -> None:
    with pytest.raises(InvalidCidrs) as refused:
        AddressPolicy.parse("10.0.0.0/8,nonsense,10.0.0.1/8,,1.2.3.4/33")
    assert refused.value.entries == ("nonsense", "10.0.0.1/8", "", "1.2.3.4/33")
    assert "'nonsense'" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "opens"),
    [("127.0.0.0/8", True), ("127.0.0.1", True), ("::1", True), ("0.0.0.0/0", True), ("10.0.0.0/8", False)],
)
def test_a_policy_knows_whether_it_opens_loopback(text: str, opens: bool) -> None:
    assert AddressPolicy.parse(text).opens_loopback is opens


@given(st.integers(0, 2**32 - 1))
@example(int(IPv4Address("127.0.0.1")))
def test_a_mapped_address_is_judged_as_ipv4(bits: int) -> None:
    mapped = IPv6Address((0xFFFF << 32) | bits)
    assert PUBLIC_ONLY.refusal(mapped) == PUBLIC_ONLY.refusal(IPv4Address(bits))


@given(st.ip_addresses())
def test_what_python_calls_private_is_never_public(address: IPv4Address | IPv6Address) -> None:
    plain = unmapped(address)  # Python calls every mapped address private
    if plain.is_private or plain.is_multicast or plain.is_reserved or plain.is_loopback:
        assert PUBLIC_ONLY.refusal(address) is not None


@given(st.ip_addresses(v=6))
def test_outside_the_global_unicast_range_no_ipv6_is_public(address: IPv6Address) -> None:
    if int(address) >> 125 != 1 and address.ipv4_mapped is None:
        assert PUBLIC_ONLY.refusal(address) is not None


def test_judging_imports_no_network_code() -> None:
    code = "import sys, leadline.domain.addresses; print('socket' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
