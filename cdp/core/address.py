"""IP addresses as they may be kept."""

import ipaddress


def shortened(address: str) -> str:
    """An address without its last part (IPv4 /24, IPv6 /48; an IPv4 one in IPv6 clothes as IPv4); else nothing."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if found.version == 6 and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    bits = 24 if found.version == 4 else 48
    return str(ipaddress.ip_network(f"{str(found).partition('%')[0]}/{bits}", strict=False).network_address)
