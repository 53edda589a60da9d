//! The guard against requests to addresses that are not public (server-side request forgery).
//!
//! A name is checked when it is resolved, and only the checked addresses are handed to the client:
//! a DNS answer that changes between check and use changes nothing. Hosts that are addresses never
//! reach a resolver, so they are checked in the URL, for the first request and for every redirect.
//! Special-purpose ranges are those of the IANA registries (RFC 6890 and its updates).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use hickory_resolver::{TokioResolver, config::LookupIpStrategy};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Ranges of IPv4 that are not a public host: first address, prefix length, what it is.
const IPV4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, "an unspecified address"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "a private address"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "an address shared by a carrier (CGNAT)"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "a loopback address"),
    // The platform endpoint of Azure: public by number, reachable from virtual machines only.
    (Ipv4Addr::new(168, 63, 129, 16), 32, "a cloud platform's own address"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "a link-local address"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "a private address"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "a protocol assignment"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "a documentation address"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a 6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "a private address"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "a benchmarking address"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "a documentation address"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "a documentation address"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "a multicast address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "a reserved address"),
];

/// Ranges of IPv6 that are not a public host. Those with an IPv4 address inside are in [`embedded`].
const IPV6: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::UNSPECIFIED, 128, "an unspecified address"),
    (Ipv6Addr::LOCALHOST, 128, "a loopback address"),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, "a local translation (NAT64) address"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "a protocol assignment"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "a documentation address"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "a 6to4 address"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "a documentation address"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "a unique local address"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "a link-local address"),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, "a site-local address"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "a multicast address"),
];

/// Why `address` is not a public host; nothing if it is one.
pub(crate) fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => not_public_v4(v4),
        IpAddr::V6(v6) => match embedded(v6) {
            Some(v4) => not_public_v4(v4),
            None => not_public_v6(v6),
        },
    }
}

fn not_public_v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = address.to_bits();
    let inside = |base: Ipv4Addr, len: u32| (bits ^ base.to_bits()) >> (32 - len) == 0;
    IPV4.iter().find(|(base, len, _)| inside(*base, *len)).map(|(.., what)| *what)
}

fn not_public_v6(address: Ipv6Addr) -> Option<&'static str> {
    let bits = address.to_bits();
    let inside = |base: Ipv6Addr, len: u32| (bits ^ base.to_bits()) >> (128 - len) == 0;
    let named = IPV6.iter().find(|(base, len, _)| inside(*base, *len)).map(|(.., what)| *what);
    // Global unicast is 2000::/3 only; the rest is reserved, so a range not yet named is refused, too.
    named.or((bits >> 125 != 1).then_some("a reserved address"))
}

/// The IPv4 address that a translator would reach: IPv4-mapped `::ffff:a.b.c.d`, NAT64 `64:ff9b::a.b.c.d`.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = address.to_bits();
    let prefix = bits >> 32;
    let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0).to_bits() >> 32;
    (prefix == 0xffff || prefix == nat64).then(|| Ipv4Addr::from_bits(bits as u32))
}

/// A host that the guard refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) host: String,
    pub(crate) address: Option<IpAddr>,
    pub(crate) why: &'static str,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "`{}` is {} ({address})", self.host, self.why),
            None => write!(f, "`{}` is {}", self.host, self.why),
        }
    }
}

impl std::error::Error for Refused {}

/// Checks the host of a URL as far as that needs no DNS. The parser has already turned `0x7f.1`,
/// `2130706433` and `127.1` into the address that they mean.
pub(crate) fn check_host(url: &Url, private: bool) -> Result<(), Refused> {
    if private {
        return Ok(());
    }
    let address = match url.host() {
        Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
        Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            let local = name.eq_ignore_ascii_case("localhost")
                || name.len() > 10 && name[name.len() - 10..].eq_ignore_ascii_case(".localhost");
            return if local {
                Err(Refused { host: name.to_owned(), address: None, why: "this machine itself" })
            } else {
                Ok(())
            };
        }
        None => return Ok(()),
    };
    match not_public(address) {
        Some(why) => Err(Refused { host: address.to_string(), address: None, why }),
        None => Ok(()),
    }
}

/// Turns names into addresses. A port of its own, so that tests can change the answer.
#[async_trait]
pub(crate) trait Lookup: Send + Sync + fmt::Debug {
    async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, Box<dyn std::error::Error + Send + Sync>>;
}

/// The machine's own DNS configuration and hosts file. Asynchronous to the end: a slow name server
/// holds no thread, and a call that is dropped drops its lookup.
pub(crate) struct SystemLookup {
    resolver: Result<TokioResolver, String>,
}

impl fmt::Debug for SystemLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemLookup")
    }
}

impl SystemLookup {
    /// A machine without DNS can still serve systems that are named by address, so a failure here
    /// is told by the lookups.
    pub(crate) fn new() -> Self {
        let build = || {
            let mut builder = TokioResolver::builder_tokio()?;
            builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
            builder.build()
        };
        SystemLookup { resolver: build().map_err(|error| error.to_string()) }
    }
}

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let resolver = self.resolver.as_ref().map_err(|error| error.clone())?;
        Ok(resolver.lookup_ip(host).await?.iter().collect())
    }
}

/// The resolver of a client: looks up, then lets only allowed addresses through.
#[derive(Clone, Debug)]
pub(crate) struct GuardedResolver {
    lookup: Arc<dyn Lookup>,
    private: bool,
    /// The host of the system's proxy, which is usually inside and named by the config alone.
    proxy: Option<Arc<str>>,
}

impl GuardedResolver {
    pub(crate) fn new(lookup: Arc<dyn Lookup>, private: bool) -> Self {
        GuardedResolver { lookup, private, proxy: None }
    }

    /// Lets the host of a proxy have any address.
    pub(super) fn with_proxy(self, host: Option<&str>) -> Self {
        GuardedResolver { proxy: host.map(Into::into), ..self }
    }

    async fn checked(&self, host: &str) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let addresses = self.lookup.lookup(host).await?;
        let private =
            self.private || self.proxy.as_deref().is_some_and(|proxy| proxy.eq_ignore_ascii_case(host));
        let mut refused = None;
        let mut allowed = Vec::with_capacity(addresses.len());
        for address in addresses {
            match not_public(address).filter(|_| !private) {
                Some(why) => refused = Some(Refused { host: host.to_owned(), address: Some(address), why }),
                // The client puts the URL's port in place of 0.
                None => allowed.push(SocketAddr::new(address, 0)),
            }
        }
        match refused {
            Some(refused) if allowed.is_empty() => Err(refused.into()),
            _ if allowed.is_empty() => Err(format!("`{host}` has no address").into()),
            _ => Ok(allowed),
        }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let this = self.clone();
        Box::pin(async move {
            let addresses = this.checked(name.as_str()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
