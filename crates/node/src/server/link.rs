//! The two ends of a connection: whom a limit counts, and which name the node goes by there.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Who is connected to which address of the node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    /// Whom limits count: an address, or the network of an IPv6 address, as one machine commonly
    /// has all addresses of that.
    pub(crate) peer: IpAddr,
    local: IpAddr,
}

impl Link {
    pub(crate) fn new(remote: SocketAddr, local: SocketAddr) -> Self {
        let peer = match remote.ip().to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            address => address,
        };
        Self { peer, local: local.ip().to_canonical() }
    }

    /// Returns whether a header `host` names this node: by the address that was connected to, or
    /// by a name of its own.
    ///
    /// A page in a browser can give its own name any address, this node's too, and then read what
    /// the node answers; a foreign node can hand on what was signed for it. Both come under a name
    /// that is not this node's. The port may be another, as behind a tunnel.
    pub(crate) fn is_named(&self, host: &str, names: &[String]) -> bool {
        let name = without_port(host);
        if names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return true;
        }
        match name.parse::<IpAddr>() {
            Ok(address) => address.to_canonical() == self.local,
            Err(_) => self.local.is_loopback() && name.eq_ignore_ascii_case("localhost"),
        }
    }
}

/// Returns the name in a header `host`, an IPv6 address without its brackets.
fn without_port(host: &str) -> &str {
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    match (bracketed, host.rsplit_once(':')) {
        (Some((name, _)), _) | (None, Some((name, _))) => name,
        (None, None) => host,
    }
}

/// Returns the names that a machine goes by in its local network.
pub(crate) fn machine_names() -> Vec<String> {
    let system = rustix::system::uname();
    match system.nodename().to_str() {
        Ok(name) if !name.is_empty() => vec![name.to_owned(), format!("{name}.local")],
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(remote: &str, local: &str) -> Link {
        Link::new(remote.parse().unwrap(), local.parse().unwrap())
    }

    #[test]
    fn a_node_goes_by_its_address_and_its_names() {
        let names = ["Node.example".to_owned()];
        let check = |local: &str, host: &str, expected: bool| {
            let named = link("192.0.2.9:1234", local).is_named(host, &names);
            assert_eq!(named, expected, "{local} {host}");
        };
        for host in ["127.0.0.1:7070", "127.0.0.1", "127.0.0.1:9999", "localhost", "LOCALHOST:1"] {
            check("127.0.0.1:7070", host, true);
            check("[::ffff:127.0.0.1]:7070", host, true);
        }
        for host in ["node.example", "NODE.example:7070"] {
            check("127.0.0.1:7070", host, true);
        }
        check("[::1]:7070", "[::1]:7070", true);
        check("[::1]:7070", "localhost:7070", true);
        check("192.0.2.1:7070", "192.0.2.1:7070", true);
        for host in ["", ":", "evil.example", "127.0.0.2", "x.localhost", "127.0.0.1.evil.example"]
        {
            check("127.0.0.1:7070", host, false);
        }
        check("192.0.2.1:7070", "localhost:7070", false);
        check("192.0.2.1:7070", "127.0.0.1:7070", false);
    }

    #[test]
    fn limits_count_networks_of_ipv6_addresses() {
        let peer = |remote| link(remote, "[::1]:1").peer;
        assert_eq!(peer("[2001:db8:1:2:3::4]:5"), peer("[2001:db8:1:2:ffff::]:6"));
        assert_ne!(peer("[2001:db8:1:2::]:5"), peer("[2001:db8:1:3::]:5"));
        assert_ne!(peer("192.0.2.1:5"), peer("192.0.2.2:5"));
        assert_eq!(peer("[::ffff:192.0.2.1]:5"), peer("192.0.2.1:7"));
    }
}
