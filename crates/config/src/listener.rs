//! `server.tls`, `server.trusted_proxies` – how connections to the listener are encrypted, and whom it believes.

use std::net::IpAddr;

use ipnet::IpNet;
use renkei_core::{
    Definitions, Diagnostic, Diagnostics, FromNode, Node, NodeKind, Schema,
    tls::{Pem, TlsVersion},
};
use renkei_derive::FromNode;

/// How the listener encrypts its connections. It speaks HTTP/2 and HTTP/1.1 then. When the config is applied anew, and that
/// is when one of the files changes, too, new connections are shown the new certificate, and those that are open stay.
#[derive(Clone, Debug, FromNode)]
pub struct TlsConfig {
    /// The certificate (PEM) that clients are shown, followed by those between it and its authority. A file, relative to
    /// the folder of the config, or the text itself: `'${env.TLS_CERT}'`.
    pub cert: Pem,

    /// The private key (PEM, not encrypted) of `cert`: a file, or the text itself.
    pub key: Pem,

    /// The oldest version of TLS that is spoken, `1.2` or `1.3`. 1.2 without it.
    pub min_version: Option<TlsVersion>,
}

/// Addresses in the notation of CIDR (RFC 4632): `10.0.0.0/8`, `fd00::/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(pub IpNet);

impl FromNode for Network {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        let text = String::from_node(node, d)?;
        if matches!(node.kind, NodeKind::Unknown) {
            return Some(Network(IpNet::from(IpAddr::from([127, 0, 0, 1]))));
        }
        let one = text.parse::<IpAddr>().ok().map(IpNet::from);
        let Some(network) = one.or_else(|| text.parse::<IpNet>().ok()) else {
            d.push(
                Diagnostic::error(node.span, format!("`{text}` is not a network"))
                    .hint("write addresses as in `10.0.0.0/8`, `fd00::/8`, or one: `10.0.0.5`"),
            );
            return None;
        };
        // Bits beyond the prefix are a slip: is it the one address or the whole network?
        if network.addr() != network.network() {
            let whole = network.trunc();
            d.push(
                Diagnostic::error(node.span, format!("`{text}` has bits beyond its prefix")).hint(format!(
                    "write `{whole}` for the network, or `{}` for the address",
                    network.addr()
                )),
            );
            return None;
        }
        if network.prefix_len() == 0 {
            d.push(
                Diagnostic::warning(
                    node.span,
                    format!("`{text}` is everybody: any client can say that it is another one"),
                )
                .hint("name the addresses of the proxies only"),
            );
        }
        Some(Network(network))
    }

    fn schema(defs: &mut Definitions) -> Schema {
        String::schema(defs)
    }
}
