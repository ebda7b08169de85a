"""Which IP addresses tools may ask: those of the open internet, private ones where a setting says so, and some never."""

import ipaddress

_NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            *("169.254.0.0/16", "fe80::/10"),  # link-local: the metadata services of most clouds
            *("168.63.129.16/32", "100.100.100.200/32", "192.0.0.0/24", "fd00:ec2::/32"),  # Azure, Alibaba, Oracle, AWS
            *("fd20:ce::/64", "fd00:c1::/64"),  # Google and Oracle over IPv6
            *("0.0.0.0/8", "::/128"),  # "this machine", by way of an address that nobody lists
            *("224.0.0.0/4", "ff00::/8", "240.0.0.0/4"),  # multicast, reserved and broadcast
        ),
    )
)
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            *("100.64.0.0/10", "192.88.99.0/24", "198.18.0.0/15"),  # carriers' networks, 6to4 relays, benchmarks
            *(
                "fec0::/10",
                "::/96",
                "64:ff9b:1::/48",
                "100::/64",
                "2001::/23",
                "2001:db8::/32",
                "3fff::/20",
                "5f00::/16",
            ),
        ),
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_EMBEDDING = (ipaddress.ip_network("64:ff9b:1::/48"), ipaddress.ip_network("::/96"))
"""Never public, and an IPv4 address stands in the last 32 bits."""
_ISATAP = (0x00005EFE, 0x02005EFE)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the open internet, also when it is wrapped in an IPv6 address."""
    ip = _inner(ipaddress.ip_address(address.partition("%")[0]))
    if any(ip in network for network in (*_NEVER, *_NOT_PUBLIC)):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def is_internal(address: str) -> bool:
    """Whether an address is one that no setting opens: of a cloud's own services, or none of a single machine."""
    whole = ipaddress.ip_address(address.partition("%")[0])
    ips = [_inner(whole)]
    if int(whole) > 1 and any(whole in network for network in _EMBEDDING):
        ips.append(ipaddress.IPv4Address(int(whole) & 0xFFFFFFFF))
    return any(ip in network for network in _NEVER for ip in ips)


def _inner(ip: Address) -> Address:
    """Return the IPv4 address within an IPv6 one (mapped, 6to4, Teredo, NAT64, ISATAP), or the address itself."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    wrapped = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
    if wrapped is None and (ip in _NAT64 or (int(ip) >> 32) & 0xFFFFFFFF in _ISATAP):
        wrapped = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return wrapped or ip
