//! What stands under `files:`.

use std::path::PathBuf;

use renkei_core::{Diagnostic, Diagnostics, Node, Secret, read::Bytes};
use renkei_derive::FromNode;
use url::Url;

use crate::http::guard;

/// Files: a folder of this machine, or a store elsewhere. Exactly one of `root`, `s3` and `webdav` says where.
#[derive(Clone, Debug, FromNode)]
#[config(check = check)]
pub(super) struct Config {
    /// A folder of this machine, relative to the folder of the config. No operation leaves it, neither by
    /// `..` nor by a symbolic link.
    pub(super) root: Option<PathBuf>,
    /// A bucket of Amazon S3, or of a store that speaks its protocol.
    pub(super) s3: Option<S3>,
    /// A WebDAV server, such as Nextcloud.
    pub(super) webdav: Option<Webdav>,
    /// Refuses every operation that would change anything.
    #[config(default = false)]
    pub(super) read_only: bool,
    /// Creates the folder `root` when it is not there. Without it, a missing folder makes the system unavailable.
    #[config(default = false)]
    pub(super) create: bool,
    /// Lets names that begin with a dot be listed, read and written. Without it they are out of reach.
    #[config(default = false)]
    pub(super) hidden: bool,
    /// Allows addresses of `endpoint` and `url` that are not public: loopback, private networks, link-local and
    /// the like.
    #[config(default = false)]
    pub(super) private: bool,
    /// The most bytes that one `read` or one `list` gives; more are cut, with a notice.
    #[config(default = "1MB")]
    pub(super) max_bytes: Bytes,
    /// The most bytes that one `write` or `append` takes.
    #[config(default = "10MB")]
    pub(super) max_write: Bytes,
    /// The most files and folders that one `list` gives, unless it says `limit`; more are cut, with a notice.
    #[config(default = 1000)]
    pub(super) max_entries: usize,
    /// The most files and folders that one operation looks at, to list them or to delete them.
    #[config(default = 100000)]
    pub(super) max_scan: usize,
    /// How many operations run at the same time in the folder `root`, each on a thread of its own.
    #[config(default = 4)]
    pub(super) parallel: usize,
    /// How many calls may wait for one of these threads; more are refused as `rate_limited`.
    #[config(default = 100)]
    pub(super) queue: usize,
}

/// A bucket.
#[derive(Clone, Debug, FromNode)]
#[config(check = check_s3)]
pub(super) struct S3 {
    /// The name of the bucket.
    pub(super) bucket: String,
    /// The region, such as `eu-central-1`. Stores without regions often take `us-east-1` or `auto`.
    pub(super) region: String,
    /// Where the store is, such as `https://minio.example.com`; Amazon's own unless given.
    pub(super) endpoint: Option<Url>,
    /// The access key's id. Without a key, requests are not signed: that reads public buckets.
    pub(super) access_key_id: Option<Secret>,
    /// The access key's secret.
    pub(super) secret_access_key: Option<Secret>,
    /// The token that belongs to temporary keys.
    pub(super) session_token: Option<Secret>,
    /// All paths start here, such as `reports/2026`. No operation leaves it.
    #[config(default)]
    pub(super) prefix: String,
    /// Whether the bucket stands in the path of the address instead of its host. True with an `endpoint`
    /// unless given.
    pub(super) path_style: Option<bool>,
}

/// A WebDAV server.
#[derive(Clone, Debug, FromNode)]
#[config(check = check_webdav)]
pub(super) struct Webdav {
    /// The folder on the server, such as `https://cloud.example.com/remote.php/dav/files/shop`. No operation
    /// leaves it.
    pub(super) url: Url,
    /// The user name.
    pub(super) user: Option<String>,
    /// The password.
    pub(super) password: Option<Secret>,
    /// A token, instead of user and password.
    pub(super) token: Option<Secret>,
}

/// Where the files are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'c> {
    Folder(&'c PathBuf),
    S3(&'c S3),
    Webdav(&'c Webdav),
    /// A value of the environment that is not known here (`check --no-env`) says it.
    Unknown,
}

/// More threads than this never help with one disk.
const MAX_PARALLEL: usize = 64;
/// More than this is not kept in memory for one call.
const MAX_MEMORY: Bytes = Bytes(1 << 30);

impl Config {
    pub(super) fn place(&self) -> Place<'_> {
        match (&self.root, &self.s3, &self.webdav) {
            (Some(root), ..) => Place::Folder(root),
            (_, Some(s3), _) => Place::S3(s3),
            (.., Some(webdav)) => Place::Webdav(webdav),
            (None, None, None) => Place::Unknown,
        }
    }
}

impl S3 {
    /// The endpoint with its scheme.
    pub(super) fn address(&self) -> String {
        match &self.endpoint {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("https://s3.{}.amazonaws.com", self.region),
        }
    }

    pub(super) fn has_path_style(&self) -> bool {
        self.path_style.unwrap_or(self.endpoint.is_some())
    }
}

fn check(config: &Config, node: &Node, d: &mut Diagnostics) {
    one_place(config, node, d);
    if config.read_only && config.create {
        refuse(
            node,
            "create",
            "a folder of which nothing changes cannot be created",
            "leave one of the two out",
            d,
        );
    }
    for key in ["create", "parallel", "queue"] {
        if config.root.is_none() && node.get(key).is_some() {
            refuse(node, key, &format!("`{key}` belongs to `root`"), "remove it", d);
        }
    }
    if config.root.is_some() && config.private {
        refuse(node, "private", "`private` belongs to a store that is reached by an address", "remove it", d);
    }
    for (key, url) in [
        ("s3", config.s3.as_ref().and_then(|s3| s3.endpoint.as_ref())),
        ("webdav", config.webdav.as_ref().map(|webdav| &webdav.url)),
    ] {
        if let Some(url) = url
            && let Err(refused) = guard::check_host(url, config.private)
        {
            let hint = "if that is meant, add `private: true` beside it";
            refuse(node, key, &format!("the host of `{key}`, {refused}, is refused"), hint, d);
        }
    }
    if !(1..=MAX_PARALLEL).contains(&config.parallel) {
        refuse(node, "parallel", "`parallel` is between 1 and 64", "leave it out for 4", d);
    }
    for (key, size) in [("max_bytes", config.max_bytes), ("max_write", config.max_write)] {
        if size > MAX_MEMORY {
            refuse(
                node,
                key,
                &format!("`{key}` is more than 1GiB"),
                "read larger files in parts, with `offset`",
                d,
            );
        }
    }
    for (key, zero) in [
        ("max_bytes", config.max_bytes.0 == 0),
        ("max_write", config.max_write.0 == 0),
        ("max_entries", config.max_entries == 0),
        ("max_scan", config.max_scan == 0),
        ("queue", config.queue == 0),
    ] {
        if zero {
            refuse(node, key, &format!("`{key}` cannot be 0"), "leave it out for its default", d);
        }
    }
}

/// Pushes an error at the value of `key`.
fn refuse(node: &Node, key: &str, message: &str, hint: &str, d: &mut Diagnostics) {
    let span = node.get(key).map_or(node.span, |value| value.span);
    d.push(Diagnostic::error(span, message).hint(hint));
}

fn one_place(config: &Config, node: &Node, d: &mut Diagnostics) {
    let given: Vec<&str> =
        [("root", config.root.is_some()), ("s3", config.s3.is_some()), ("webdav", config.webdav.is_some())]
            .into_iter()
            .filter_map(|(key, given)| given.then_some(key))
            .collect();
    match given[..] {
        [_] => {}
        [] => {
            d.push(Diagnostic::error(node.span, "it is not said where the files are").hint(
                "add `root: ./documents` for a folder of this machine, or `s3: { … }` or `webdav: { … }`",
            ))
        }
        [first, second, ..] => {
            let span = node.entry(second).map_or(node.span, |entry| entry.key_span);
            d.push(
                Diagnostic::error(
                    span,
                    format!("files are in one place, not in `{first}` and in `{second}`"),
                )
                .hint("declare a system for each"),
            );
        }
    }
}

fn check_s3(s3: &S3, node: &Node, d: &mut Diagnostics) {
    let name = s3.bucket.as_bytes();
    let fits = (3..=63).contains(&name.len())
        && name.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'A'..=b'Z'))
        && !s3.bucket.contains("..");
    if !fits {
        let hint = "3 to 63 letters, digits, `-` and `.`; folders in it are the `prefix`";
        refuse(node, "bucket", &format!("`{}` is not the name of a bucket", s3.bucket), hint, d);
    }
    if s3.region.is_empty() || !s3.region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        let hint = "such as `eu-central-1`; a store without regions often takes `us-east-1`";
        refuse(node, "region", &format!("`{}` is not a region", s3.region), hint, d);
    }
    if let Some(url) = &s3.endpoint {
        check_url(url, node, "endpoint", d);
        if url.path() != "/" {
            refuse(node, "endpoint", "`endpoint` has a path", "the bucket and `prefix` make the path", d);
        }
    }
    let prefix = s3.prefix.trim_matches('/');
    if !prefix.is_empty() && prefix.split('/').any(|part| matches!(part, "" | "." | "..")) {
        let hint = "write folders with one `/` between them, such as `reports/2026`";
        refuse(node, "prefix", "`prefix` has an empty segment, `.` or `..`", hint, d);
    }
    if s3.access_key_id.is_some() != s3.secret_access_key.is_some() {
        let missing = if s3.access_key_id.is_some() { "secret_access_key" } else { "access_key_id" };
        let hint = format!("add `{missing}`, or leave both out for a public bucket");
        d.push(Diagnostic::error(node.span, "half of the access key is missing").hint(hint));
    }
    if s3.session_token.is_some() && s3.access_key_id.is_none() {
        let hint = "add `access_key_id` and `secret_access_key`";
        refuse(node, "session_token", "a session token belongs to an access key", hint, d);
    }
}

fn check_webdav(webdav: &Webdav, node: &Node, d: &mut Diagnostics) {
    check_url(&webdav.url, node, "url", d);
    if webdav.token.is_some() && (webdav.user.is_some() || webdav.password.is_some()) {
        refuse(node, "token", "give `token`, or `user` and `password`", "remove one of them", d);
    }
    if webdav.user.is_some() != webdav.password.is_some() {
        let missing = if webdav.user.is_some() { "password" } else { "user" };
        d.push(
            Diagnostic::error(node.span, format!("`{missing}` is missing"))
                .hint(format!("add `{missing}: …`")),
        );
    }
}

fn check_url(url: &Url, node: &Node, key: &str, d: &mut Diagnostics) {
    if !matches!(url.scheme(), "http" | "https") {
        let message = format!("`{key}` has the scheme `{}`", url.scheme());
        refuse(node, key, &message, "write `https://…`", d);
    }
    if !url.username().is_empty() || url.password().is_some() {
        let message = format!("`{key}` holds a user name or a password");
        refuse(node, key, &message, "write them beside it: then they are kept secret", d);
    }
    if url.query().is_some() || url.fragment().is_some() {
        refuse(node, key, &format!("`{key}` has a query or a fragment"), "leave it out", d);
    }
}
