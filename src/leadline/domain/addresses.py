"""Which addresses a webhook may be sent to (contract § 9). Pure: no resolution, no sockets.

Python's own `is_global` is not enough: it passes NAT64, 6to4, `::127.0.0.1` and multicast forms. So the
ranges are written out here, each with the name of the rule that closes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class InvalidCidrs(ValueError):
    """`LEADLINE_WEBHOOK_ALLOW_CIDRS` holds entries that are no address range; `entries` lists all of them."""

    def __init__(self, entries: tuple[str, ...]) -> None:
        super().__init__(
            "not a list of address ranges such as 10.0.0.0/8,fd00::/8: " + ", ".join(map(repr, entries))
        )
        self.entries = entries


# First match names the rule, so the narrow ranges stand before the wide ones.
_CLOSED_IPV4: tuple[tuple[str, IPv4Network], ...] = (
    ("unspecified", IPv4Network("0.0.0.0/8")),
    ("loopback", IPv4Network("127.0.0.0/8")),
    ("private", IPv4Network("10.0.0.0/8")),
    ("private", IPv4Network("172.16.0.0/12")),
    ("private", IPv4Network("192.168.0.0/16")),
    ("link_local", IPv4Network("169.254.0.0/16")),
    ("cgnat", IPv4Network("100.64.0.0/10")),
    ("documentation", IPv4Network("192.0.2.0/24")),
    ("documentation", IPv4Network("198.51.100.0/24")),
    ("documentation", IPv4Network("203.0.113.0/24")),
    ("benchmark", IPv4Network("198.18.0.0/15")),
    ("reserved", IPv4Network("192.0.0.0/24")),
    ("reserved", IPv4Network("192.88.99.0/24")),
    ("multicast", IPv4Network("224.0.0.0/4")),
    ("reserved", IPv4Network("240.0.0.0/4")),
)
_CLOSED_IPV6: tuple[tuple[str, IPv6Network], ...] = (
    ("unspecified", IPv6Network("::/128")),
    ("loopback", IPv6Network("::1/128")),
    ("link_local", IPv6Network("fe80::/10")),
    ("private", IPv6Network("fec0::/10")),
    ("private", IPv6Network("fc00::/7")),
    ("multicast", IPv6Network("ff00::/8")),
    ("tunnel", IPv6Network("64:ff9b::/96")),
    ("tunnel", IPv6Network("64:ff9b:1::/48")),
    ("tunnel", IPv6Network("2001::/32")),
    ("benchmark", IPv6Network("2001:2::/48")),
    ("reserved", IPv6Network("2001::/23")),
    ("documentation", IPv6Network("2001:db8::/32")),
    ("tunnel", IPv6Network("2002::/16")),
    ("documentation", IPv6Network("3fff::/20")),
)
_PUBLIC_IPV6 = IPv6Network("2000::/3")

# Where clouds answer with credentials to whoever asks from inside. Some lie in public ranges (Azure) or in
# ranges that a self-hoster has reason to open, so they are closed one by one and no setting opens them.
_METADATA_IPV4 = frozenset(
    int(IPv4Address(text))
    for text in (
        "169.254.169.254",  # AWS, Google Cloud, Azure, OpenStack, DigitalOcean, Oracle, Hetzner
        "169.254.170.2",  # AWS ECS task credentials
        "169.254.170.23",  # AWS EKS pod identity
        "169.254.42.42",  # Scaleway
        "169.254.0.23",  # Tencent Cloud
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure host agent, in public space
        "192.0.0.192",  # Oracle Cloud, classic
    )
)
_METADATA_IPV6 = frozenset(
    int(IPv6Address(text))
    for text in (
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS EKS pod identity
        "fd20:ce::254",  # Google Cloud
        "fd00:42::42",  # Scaleway
        "fe80::a9fe:a9fe",  # OpenStack
    )
)
_LOOPBACKS: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_MAPPED = IPv6Network("::ffff:0:0/96")


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Which addresses may be called: the public ones, and those in `allowed` (contract § 9).

    `AddressPolicy()` allows public addresses only.
    """

    allowed: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> AddressPolicy:
        """The policy of a comma-separated list of ranges, as in `LEADLINE_WEBHOOK_ALLOW_CIDRS`.

        Blank text opens nothing; a bare address is a range of one; IPv4-mapped ranges open the IPv4 range.
        Raises `InvalidCidrs` with every entry that is no range (host bits set included).
        """
        if not text.strip():
            return cls()
        entries = [entry.strip() for entry in text.split(",")]
        networks = [_parse_network(entry) for entry in entries]
        wrong = tuple(entry for entry, network in zip(entries, networks, strict=True) if network is None)
        if wrong:
            raise InvalidCidrs(wrong)
        return cls(tuple(network for network in networks if network is not None))

    def refusal(self, address: Address) -> str | None:
        """The rule that forbids calling `address`, or None when it may be called.

        Mapped addresses are judged as IPv4. Metadata addresses, also when embedded in a tunnelled form, are
        refused whatever is allowed. A zone (`fe80::1%eth0`) changes nothing.
        """
        plain = unmapped(address)
        if _is_metadata(plain):
            return "metadata"
        if any(plain in network for network in self.allowed):
            return None
        return _closed_rule(plain)

    @property
    def opens_anything(self) -> bool:
        """True when any range is opened beyond the public addresses."""
        return bool(self.allowed)

    @property
    def opens_loopback(self) -> bool:
        """True when at least one loopback address may be called."""
        return any(
            network.overlaps(loopback)
            for network in self.allowed
            for loopback in _LOOPBACKS
            if network.version == loopback.version
        )


def unmapped(address: Address) -> Address:
    """`address` without zone, and as IPv4 when it is IPv4-mapped (`::ffff:192.0.2.1`)."""
    if isinstance(address, IPv4Address):
        return address
    mapped = address.ipv4_mapped
    return IPv6Address(int(address)) if mapped is None else mapped


def _parse_network(entry: str) -> Network | None:
    try:
        network = ip_network(entry)
    except ValueError:
        return None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return IPv4Network((int(network.network_address) & 0xFFFF_FFFF, network.prefixlen - 96))
    return network


def _closed_rule(address: Address) -> str | None:
    if isinstance(address, IPv4Address):
        return next((rule for rule, network in _CLOSED_IPV4 if address in network), None)
    named = next((rule for rule, network in _CLOSED_IPV6 if address in network), None)
    if named is not None or address in _PUBLIC_IPV6:
        return named
    return "reserved"


def _is_metadata(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return int(address) in _METADATA_IPV4
    if int(address) in _METADATA_IPV6:
        return True
    return any(embedded in _METADATA_IPV4 for embedded in _embedded_ipv4(int(address)))


def _embedded_ipv4(bits: int) -> tuple[int, ...]:
    """Every 32 bits of an IPv6 address that a tunnel or translator may take for the IPv4 address meant.

    Read without regard to the prefix, because translators use prefixes of the operator's own choice
    (RFC 6052): the low 32 bits (`::a.b.c.d`, NAT64 /96, ISATAP), the same inverted (Teredo), bits 16-47
    (6to4), and NAT64 with /32 to /64, which leaves out the octet at bits 64-71. A public address that
    carries such bits by chance is refused too, one in a billion.
    """
    low, without_octet = bits & 0xFFFF_FFFF, ((bits >> 64) << 56) | (bits & ((1 << 56) - 1))
    shifted = tuple((without_octet >> (120 - prefix - 32)) & 0xFFFF_FFFF for prefix in (32, 40, 48, 56, 64))
    return (low, low ^ 0xFFFF_FFFF, (bits >> 80) & 0xFFFF_FFFF, *shifted)
