//! A container image of nothing but the binary, the libraries that it loads, and the public certificates.
//!
//! It is written as an OCI image layout (image-spec 1.0) in a tar file, with no container engine at hand. There is
//! no shell in it and no package manager; it runs as user 65532 and keeps nothing.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{Release, gzip, sha256};
use crate::command;

const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// What the name service needs to look into `/etc/hosts` and to ask DNS; loaded by name, so `ldd` does not show them.
const NAME_SERVICE: [&str; 2] = ["libnss_dns.so.2", "libnss_files.so.2"];
const USER: &str = "65532:65532";

pub(super) fn archive(release: &Release, folder: &Path) -> Result<PathBuf> {
    let stage = folder.join("image");
    let blobs = stage.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;

    let root = folder.join("root");
    fill(release, &root)?;
    let layer = folder.join("layer.tar");
    release.tar(&root, &layer)?;
    fs::remove_dir_all(&root)?;
    let contents = format!("sha256:{}", sha256(&layer)?);
    let layer = blob(&blobs, &gzip(&layer)?, "application/vnd.oci.image.layer.v1.tar+gzip")?;

    let config = folder.join("config.json");
    fs::write(&config, configuration(release, &contents)?.to_string())?;
    let config = blob(&blobs, &config, "application/vnd.oci.image.config.v1+json")?;

    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = folder.join("manifest.json");
    let text = json!({ "schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": [layer] });
    fs::write(&manifest, text.to_string())?;
    let mut manifest = blob(&blobs, &manifest, manifest_type)?;
    manifest["annotations"] =
        json!({ "org.opencontainers.image.ref.name": format!("renkei:{}", release.version) });

    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    fs::write(stage.join("index.json"), index.to_string())?;
    fs::write(stage.join("oci-layout"), json!({ "imageLayoutVersion": "1.0.0" }).to_string())?;

    let archive = folder.join(format!("{}.oci.tar", release.name()));
    release.tar(&stage, &archive)?;
    fs::remove_dir_all(&stage)?;
    Ok(archive)
}

/// The image's files.
fn fill(release: &Release, root: &Path) -> Result<()> {
    for folder in ["etc/ssl/certs", "tmp", "config", "usr/bin"] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    fs::copy(&release.binary, root.join("usr/bin/renkei"))?;
    for library in libraries(&release.binary)? {
        let into = root.join(library.strip_prefix("/").unwrap_or(&library));
        fs::create_dir_all(into.parent().context("a library is in a folder")?)?;
        // Follows links: the name that the loader looks for is what counts.
        fs::copy(&library, into).with_context(|| format!("cannot copy {}", library.display()))?;
    }
    fs::copy(CERTIFICATES, root.join(CERTIFICATES.trim_start_matches('/')))
        .with_context(|| format!("cannot copy {CERTIFICATES}; install `ca-certificates`"))?;
    fs::write(root.join("etc/passwd"), "renkei:x:65532:65532:renkei:/config:/sbin/nologin\n")?;
    fs::write(root.join("etc/group"), "renkei:x:65532:\n")?;
    fs::write(root.join("etc/nsswitch.conf"), "hosts: files dns\n")?;
    Ok(())
}

/// The shared libraries that the binary needs, and its loader, with the paths under which they are looked for.
fn libraries(binary: &Path) -> Result<BTreeSet<PathBuf>> {
    let said = command::output(Command::new("ldd").arg(binary))?;
    if said.contains("not found") {
        bail!("`ldd` misses a library of {}:\n{said}", binary.display());
    }
    let paths = said.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    let mut found: BTreeSet<PathBuf> = paths.map(PathBuf::from).collect();
    let folder = found.iter().find(|path| path.file_name().is_some_and(|name| name == "libc.so.6"));
    if let Some(folder) = folder.and_then(|libc| libc.parent()).map(Path::to_owned) {
        found.extend(NAME_SERVICE.map(|name| folder.join(name)).into_iter().filter(|path| path.exists()));
    }
    Ok(found)
}

fn configuration(release: &Release, layer: &str) -> Result<Value> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("images for `{other}` have no name in the OCI specification that is known here"),
    };
    let created = release.date()?;
    Ok(json!({
        "created": created,
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": USER,
            "ExposedPorts": { "8383/tcp": {} },
            "Env": ["PATH=/usr/bin", format!("SSL_CERT_FILE={CERTIFICATES}")],
            "Entrypoint": ["/usr/bin/renkei"],
            "Cmd": ["serve", "/config", "--listen", "0.0.0.0:8383"],
            "WorkingDir": "/config",
            "StopSignal": "SIGTERM",
            "Labels": {
                "org.opencontainers.image.title": "Renkei",
                "org.opencontainers.image.version": release.version,
                "org.opencontainers.image.revision": release.commit,
                "org.opencontainers.image.created": created,
                "org.opencontainers.image.licenses": "Apache-2.0 OR MIT",
                "org.opencontainers.image.source": env!("CARGO_PKG_REPOSITORY"),
            },
        },
        "rootfs": { "type": "layers", "diff_ids": [layer] },
        "history": [{ "created": created, "created_by": "cargo xtask dist" }],
    }))
}

/// Moves a file to where its digest says, and describes it.
fn blob(blobs: &Path, file: &Path, media_type: &str) -> Result<Value> {
    let digest = sha256(file)?;
    let size = fs::metadata(file)?.len();
    fs::rename(file, blobs.join(&digest))?;
    Ok(json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": size }))
}
