//! A private MariaDB: its own data, port and socket, in a folder that goes away with it.
//!
//! A test process that dies by a signal leaves nothing that matters: the server is in its process group, and the
//! folder is a temporary one. Data files are made once for all test processes of a machine, and copied: a server
//! then starts in about half a second.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Seek as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use tempfile::TempDir;

/// How long a server may take to start before the test gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Another process may take a free port between the look and the start.
const TRIES: usize = 5;
/// The database that the user of [`MariaDb::url`] may do everything with.
pub const DATABASE: &str = "shop";
/// That user.
pub const USER: &str = "renkei";
/// The user's password. One that must be percent-encoded in a URL, so that nobody forgets it.
pub const PASSWORD: &str = "open/sesame 4711";

/// A running server. It ends when it is dropped.
#[derive(Debug)]
pub struct MariaDb {
    folder: TempDir,
    port: u16,
    options: Vec<String>,
    child: Option<Child>,
}

impl MariaDb {
    /// Starts a server with an empty database [`DATABASE`].
    pub fn start() -> MariaDb {
        MariaDb::with(&[])
    }

    /// Starts a server with more options of its command line, such as `--ssl-cert=…`.
    pub fn with(options: &[&str]) -> MariaDb {
        let folder = tempfile::tempdir().expect("the folder for temporary files can be written");
        command("cp", &["-a".as_ref(), template().as_ref(), folder.path().join("data").as_ref()]);
        let setup = format!(
            "create database {DATABASE} character set utf8mb4;\n\
             create user '{USER}'@'%' identified by '{PASSWORD}';\n\
             grant all on {DATABASE}.* to '{USER}'@'%';\n"
        );
        std::fs::write(folder.path().join("setup.sql"), setup).expect("the folder is writable");
        std::fs::create_dir(folder.path().join("tmp")).expect("the folder is writable");
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = MariaDb { folder, port: 0, options, child: None };
        let setup = format!("--init-file={}", server.path("setup.sql").display());
        let started = (0..TRIES).any(|_| {
            server.port = free_port();
            server.launch(Some(&setup)).is_ok()
        });
        assert!(started, "no port for MariaDB: {:?}", server.launch(Some(&setup)));
        server
    }

    /// On 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `mysql://…` of [`USER`] on [`DATABASE`].
    pub fn url(&self) -> String {
        let password = PASSWORD.replace('/', "%2F").replace(' ', "%20");
        format!("mysql://{USER}:{password}@127.0.0.1:{}/{DATABASE}", self.port)
    }

    /// Runs SQL as the administrator, past whatever is under test. Gives the rows, columns separated by tabs.
    pub fn admin(&self, sql: &str) -> String {
        let socket = format!("--socket={}", self.path("socket").display());
        // As its input: an argument must be short.
        let mut input = tempfile::tempfile().expect("the folder for temporary files can be written");
        input.write_all(sql.as_bytes()).and_then(|()| input.rewind()).expect("a file of ours is writable");
        let output = Command::new(program("mariadb"))
            .args([
                "--no-defaults",
                "--user=root",
                "--batch",
                "--skip-column-names",
                "--default-character-set=utf8mb4",
            ])
            .args([&socket, DATABASE])
            .stdin(input)
            .output()
            .expect("the client of MariaDB is installed with the server");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors} in {sql}");
        String::from_utf8(output.stdout).expect("the client writes UTF-8")
    }

    /// Ends the server at once, as a crash would.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again, with its data and on its port.
    pub fn start_again(&mut self) {
        self.stop();
        if let Err(log) = self.launch(None) {
            panic!("MariaDB does not start again: {log}");
        }
    }

    /// Stops it where it is, as a machine that hangs: connections stay, and nobody answers.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, name: &str) {
        let child = self.child.as_ref().expect("the server runs");
        let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
        assert!(sent.expect("`kill` is there").success(), "the server is gone already");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the server and waits until it takes connections; its log if it ends instead.
    fn launch(&mut self, setup: Option<&str>) -> Result<(), String> {
        let mut server = Command::new(program("mariadbd"));
        server.args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin"]);
        server.arg(format!("--datadir={}", self.path("data").display()));
        server.arg(format!("--socket={}", self.path("socket").display()));
        server.arg(format!("--pid-file={}", self.path("pid").display()));
        server.arg(format!("--port={}", self.port));
        // A server that starts removes the temporary tables in its folder for them: in one that is shared, those that
        // another server is about to use, which ends that one.
        server.arg(format!("--tmpdir={}", self.path("tmp").display()));
        // Small, and without what protects from a failure of the machine.
        server.args([
            "--performance-schema=off",
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-buffer-pool-size=8M",
            "--innodb-log-file-size=4M",
            "--innodb-temp-data-file-path=ibtmp1:1M:autoextend",
            "--innodb-use-native-aio=0",
            "--key-buffer-size=64K",
            "--aria-pagecache-buffer-size=1M",
        ]);
        server.args(setup).args(&self.options).args(as_root());
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = server.spawn().map_err(|why| why.to_string())?;
        let log = child.stderr.take().expect("its log is piped");
        let (say, hear) = mpsc::channel();
        // Reads to the end, so that the server never waits for a reader; ends with the server.
        std::thread::spawn(move || {
            let mut log_text = String::new();
            let mut say = Some(say);
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                if line.contains("ready for connections") {
                    say.take().map(|say| say.send(Ok(())));
                } else if say.is_some() {
                    log_text = log_text + &line + "\n";
                }
            }
            say.take().map(|say| say.send(Err(log_text)));
        });
        let started =
            hear.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(format!("not ready after {PATIENCE:?}")));
        self.child = Some(child);
        if started.is_err() {
            self.stop();
        }
        started
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port that nobody has just now.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// The server refuses to run as root unless it is told to.
fn as_root() -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt as _;
    let own = tempfile::tempfile().and_then(|file| file.metadata()).expect("a file of ours can be made");
    (own.uid() == 0).then_some("--user=root")
}

/// In the `PATH`, or where packages put servers.
fn program(name: &str) -> PathBuf {
    let folders = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"];
    let known = folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists());
    known.unwrap_or_else(|| name.into())
}

/// Data files of a new server. The first process that needs them makes them; the others wait for it.
fn template() -> PathBuf {
    let version = command(program("mariadbd").as_os_str(), &["--no-defaults".as_ref(), "--version".as_ref()]);
    let key: String = version.chars().filter(char::is_ascii_alphanumeric).collect();
    let user = if as_root().is_some() { "root" } else { "user" };
    let folder = std::env::temp_dir().join(format!("renkei-testkit-{user}-{key}"));
    std::fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
    // Nobody else may put data files under ours.
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).expect("the folder is ours");
    let lock = File::create(folder.join("lock")).expect("the folder is ours");
    lock.lock().expect("files of this machine can be locked");
    let data = folder.join("mariadb");
    if !data.exists() {
        let half = folder.join("mariadb.new");
        // Of a process that was ended in the middle.
        let _ = std::fs::remove_dir_all(&half);
        let place = format!("--datadir={}", half.display());
        let mut words: Vec<&std::ffi::OsStr> =
            vec!["--no-defaults".as_ref(), place.as_ref(), "--skip-test-db".as_ref()];
        words.extend(
            ["--auth-root-authentication-method=normal", "--innodb-log-file-size=4M"]
                .map(std::ffi::OsStr::new),
        );
        words.extend(as_root().map(std::ffi::OsStr::new));
        command(program("mariadb-install-db").as_os_str(), &words);
        std::fs::rename(&half, &data).expect("the folder is ours");
    }
    data
}

/// Runs a program to its end and gives what it writes.
fn command(program: impl AsRef<std::ffi::OsStr>, words: &[&std::ffi::OsStr]) -> String {
    let program = program.as_ref();
    let output = Command::new(program).args(words).output();
    let output = output.unwrap_or_else(|why| {
        let program = program.display();
        panic!("{program}: {why}; install MariaDB, such as the Debian package `mariadb-server`")
    });
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}: {text}{}",
        program.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    text
}
