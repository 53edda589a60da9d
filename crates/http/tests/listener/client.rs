//! Whom a proxy speaks for, and who only says that it is one.

use renkei_http::{Access, Authority, Options, Proxies};
use tokio::io::AsyncWriteExt as _;

use crate::served::{Served, rest, start, status};

fn trusting(networks: &[&str]) -> Options {
    let networks: Vec<_> = networks.iter().map(|network| network.parse().unwrap()).collect();
    let hosts = vec![Authority::parse("shop.example.com").unwrap()];
    Options {
        proxies: Proxies::new(&networks),
        access: Access { hosts, ..Access::default() },
        ..Options::default()
    }
}

/// The answer to a request with these header lines, which may hold several.
async fn ask(served: &Served, host: &str, lines: &str) -> String {
    let mut stream = served.connect().await;
    let head = format!("GET /client HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{lines}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    rest(stream).await
}

async fn client(served: &Served, lines: &str) -> String {
    let answer = ask(served, "shop.example.com", lines).await;
    answer.rsplit("\r\n").next().unwrap().to_owned()
}

#[tokio::test]
async fn nobody_is_believed_unless_the_config_says_so() {
    for networks in [&[][..], &["10.0.0.0/8", "::1/128"]] {
        let served = start(trusting(networks)).await;
        for lines in [
            "x-forwarded-for: 203.0.113.7\r\n",
            "forwarded: for=203.0.113.7;host=evil.example.com;proto=https\r\n",
            "forwarded: nonsense\r\nx-forwarded-host: ///\r\n",
        ] {
            assert_eq!(client(&served, lines).await, "127.0.0.1 0", "{lines}");
        }
        // What it says of the host opens no door.
        let answer = ask(&served, "evil.example.com", "x-forwarded-host: shop.example.com\r\n").await;
        assert_eq!(status(&answer), Some(403));
    }
}

#[tokio::test]
async fn the_first_address_from_the_right_that_is_no_proxys_counts() {
    let served = start(trusting(&["127.0.0.1/32", "10.0.0.0/8", "fd00::/8"])).await;
    for (lines, expected) in [
        ("", "127.0.0.1"),
        ("x-forwarded-for: 203.0.113.7\r\n", "203.0.113.7"),
        // The left part is what the client itself wrote.
        ("x-forwarded-for: 1.1.1.1, 203.0.113.7\r\n", "203.0.113.7"),
        ("x-forwarded-for: 1.1.1.1, 203.0.113.7, 10.0.0.5,10.9.9.9\r\n", "203.0.113.7"),
        (
            "x-forwarded-for: 1.1.1.1\r\nx-forwarded-for: 203.0.113.7\r\nX-Forwarded-For: 10.0.0.5\r\n",
            "203.0.113.7",
        ),
        // All are proxies: the first one asked for itself.
        ("x-forwarded-for: 10.0.0.7, 10.0.0.5\r\n", "10.0.0.7"),
        // Who claims to be one of them is not asked further.
        ("x-forwarded-for: 10.0.0.1, 203.0.113.7\r\n", "203.0.113.7"),
        ("x-forwarded-for: 203.0.113.7:4711\r\n", "203.0.113.7"),
        ("x-forwarded-for: [2001:db8::7]:4711\r\n", "2001:db8::7"),
        ("x-forwarded-for: 2001:db8::7, fd00::1\r\n", "2001:db8::7"),
        ("x-forwarded-for: ::ffff:203.0.113.7\r\n", "203.0.113.7"),
        ("x-forwarded-for: 1.1.1.1, ::ffff:10.0.0.5\r\n", "1.1.1.1"),
        // Beyond what is no address nobody knows anything.
        ("x-forwarded-for: 1.1.1.1, unknown, 10.0.0.5\r\n", "10.0.0.5"),
        ("x-forwarded-for: 1.1.1.1, localhost\r\n", "127.0.0.1"),
        ("forwarded: for=203.0.113.7\r\n", "203.0.113.7"),
        ("forwarded: for=1.1.1.1, For=\"203.0.113.7:80\" ; proto=http , for=10.0.0.5\r\n", "203.0.113.7"),
        ("forwarded: for=\"[2001:db8::7]:4711\"\r\nforwarded: for=\"[fd00::1]\"\r\n", "2001:db8::7"),
        ("forwarded: for=1.1.1.1, for=_hidden\r\n", "127.0.0.1"),
        ("forwarded: for=1.1.1.1, for=unknown, for=10.0.0.5\r\n", "10.0.0.5"),
        ("forwarded: for=1.1.1.1;by=\"a,b;for=2.2.2.2\", for=10.0.0.5\r\n", "1.1.1.1"),
        ("forwarded: for=203.0.113.7\r\nx-forwarded-for: 203.0.113.7\r\n", "203.0.113.7"),
    ] {
        assert_eq!(client(&served, lines).await, format!("{expected} 0"), "{lines}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_or_differs_is_refused() {
    let served = start(trusting(&["127.0.0.1/32"])).await;
    for lines in [
        "forwarded: for=203.0.113.7\r\nx-forwarded-for: 203.0.113.8\r\n",
        // The proxy writes one kind; the client has written the other.
        "forwarded: for=203.0.113.7;host=shop.example.com\r\nx-forwarded-for: 203.0.113.7\r\n",
        "x-forwarded-for: 203.0.113.7\r\nforwarded: host=shop.example.com\r\n",
        "forwarded: 203.0.113.7\r\n",
        "forwarded: for=203.0.113.7;host=a/b\r\n",
        "x-forwarded-host: user@shop.example.com\r\n",
        "x-forwarded-proto: gopher\r\n",
    ] {
        let answer = ask(&served, "shop.example.com", lines).await;
        assert_eq!(status(&answer), Some(400), "{lines}");
        assert!(answer.contains(r#""error":"bad_forwarded""#), "{answer}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_says_by_which_name_it_was_called() {
    let served = start(trusting(&["127.0.0.1/32"])).await;
    for (host, lines, expected) in [
        ("backend.internal", "x-forwarded-host: shop.example.com\r\n", 200),
        ("backend.internal", "x-forwarded-host: evil.example.com, shop.example.com\r\n", 200),
        ("backend.internal", "x-forwarded-host: shop.example.com, evil.example.com\r\n", 403),
        ("backend.internal", "forwarded: for=1.1.1.1;host=shop.example.com\r\n", 200),
        ("backend.internal", "", 403),
        // The name that the client used counts, not the one by which the proxy calls.
        ("shop.example.com", "x-forwarded-host: evil.example.com\r\n", 403),
        // Its own pages are those of the URL that the client sees.
        ("shop.example.com", "origin: https://shop.example.com\r\n", 403),
        (
            "shop.example.com",
            "x-forwarded-host: shop.example.com\r\nx-forwarded-proto: https\r\norigin: https://shop.example.com\r\n",
            200,
        ),
        (
            "shop.example.com",
            "x-forwarded-host: shop.example.com\r\nx-forwarded-proto: https\r\norigin: http://shop.example.com\r\n",
            403,
        ),
        (
            "shop.example.com",
            "x-forwarded-host: shop.example.com\r\nx-forwarded-proto: https\r\norigin: https://evil.example.com\r\n",
            403,
        ),
    ] {
        let answer = ask(&served, host, lines).await;
        assert_eq!(status(&answer), Some(expected), "{host} {lines}{answer}");
    }
}
