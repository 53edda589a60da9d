//! A PostgreSQL of the tests' own, on a free port, in a temporary folder.
//!
//! Tests that only need a database share one server: each of them runs in a process of its own, and starting a
//! server takes longer than most tests. Who uses it holds a shared lock on a file; a small script
//! (`postgres/supervise.sh`) that runs the server ends it and removes its folder when nobody has held the lock
//! for ten seconds, whatever became of the tests. Tests that stop a server, or set it up in another way, have a
//! private one, which ends with them; the kernel ends it if the test is killed.

mod relay;

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

pub use relay::{Loss, Relay};

/// Of the role `postgres`, for connections over the network. Those over the socket need none.
pub const PASSWORD: &str = "open-sesame-4711";
/// The role that may do everything.
pub const ROLE: &str = "postgres";

const SUPERVISE: &str = include_str!("postgres/supervise.sh");
/// Durable enough for a test, and able to do what replication and two-phase commit need.
const SETTINGS: &[&str] = &[
    "wal_level=logical",
    "max_prepared_transactions=20",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=400",
    "listen_addresses=127.0.0.1",
];

/// A running server.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    port: u16,
    keeps: Keeps,
    settings: Vec<String>,
}

#[derive(Debug)]
enum Keeps {
    /// The lock that says that somebody uses it.
    Shared { _lock: File },
    /// The server; nothing while it is stopped.
    Private(Option<Child>),
}

impl Server {
    /// The server that all tests share; started if it does not run.
    ///
    /// # Panics
    /// If there is no PostgreSQL on this machine, or it does not start.
    pub fn shared() -> Server {
        let base = std::env::temp_dir().join(format!("renkei-test-postgres-{}", user_id()));
        make_folder(&base);
        let start = File::create(base.join("start.lock")).expect("the lock file can be made");
        start.lock().expect("the lock can be taken");
        let current = base.join("current");
        if let Some(server) = running(&current) {
            return server;
        }
        let server = start_shared(&base);
        fs::write(&current, format!("{}\n{}", server.folder.display(), server.port))
            .expect("the place of the server can be written");
        server
    }

    /// A server of one's own, with settings such as `ssl=on` beside the usual ones.
    ///
    /// # Panics
    /// If there is no PostgreSQL on this machine, or it does not start.
    pub fn private(settings: &[&str]) -> Server {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("renkei-pg-{}-{number}", std::process::id()));
        initialise(&folder);
        if settings.contains(&"ssl=on") {
            certificates(&folder);
        }
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Server { folder, port: free_port(), keeps: Keeps::Private(None), settings };
        server.start();
        server
    }

    /// Starts it again, on the same port.
    ///
    /// # Panics
    /// If it does not start, or is the shared one.
    pub fn start(&mut self) {
        let Keeps::Private(child) = &mut self.keeps else {
            panic!("the shared server is not started by one")
        };
        let mut command = as_postgres(Some("QUIT"), &program("postgres"));
        command.args(arguments(&self.folder, self.port)).stderr(Stdio::piped());
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let mut started = command.stdin(Stdio::null()).spawn().expect("the server starts");
        let mut log = BufReader::new(started.stderr.take().expect("its errors are piped"));
        await_ready(&mut log);
        // It must not stop because nobody reads what it says.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        *child = Some(started);
    }

    /// Stops it: `INT` ends its connections and is orderly, `QUIT` is a crash.
    ///
    /// # Panics
    /// If it is the shared one.
    pub fn stop(&mut self, signal: &str) {
        let Keeps::Private(child) = &mut self.keeps else {
            panic!("the shared server is not stopped by one")
        };
        if let Some(mut child) = child.take() {
            self::signal(signal, &[child.id()]);
            child.wait().expect("the server ends");
        }
    }

    /// Kills all its processes at once: nobody is told, and nothing is tidied up.
    ///
    /// # Panics
    /// If it is the shared one.
    pub fn kill(&mut self) {
        // The parent first, so that it starts no more of them.
        let parent = [self.process()];
        signal("STOP", &parent);
        signal("KILL", &children_of(parent[0]));
        self.stop("KILL");
    }

    /// Stops all its processes where they are, as a machine that hangs: connections stay, and nobody answers.
    ///
    /// # Panics
    /// If it is the shared one.
    pub fn pause(&self) {
        let parent = self.process();
        signal("STOP", &[parent]);
        signal("STOP", &children_of(parent));
    }

    /// Lets them go on.
    ///
    /// # Panics
    /// If it is the shared one.
    pub fn resume(&self) {
        let parent = self.process();
        signal("CONT", &children_of(parent));
        signal("CONT", &[parent]);
    }

    /// Kills the process behind one connection, and gives whether it was still there. The server then ends all others,
    /// lets nobody in, and recovers by itself.
    pub fn crash(&self, backend: &str) -> bool {
        let sent = Command::new("kill").args(["-KILL", backend]).stderr(Stdio::null()).status();
        sent.expect("`kill` is there").success()
    }

    /// The number of its first process.
    fn process(&self) -> u32 {
        match &self.keeps {
            Keeps::Private(Some(child)) => child.id(),
            Keeps::Private(None) => panic!("the server does not run"),
            Keeps::Shared { .. } => panic!("the shared server is not disturbed by one"),
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate that signed the server's, where it was started with `ssl=on`. It is valid for `localhost`.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The name of a new, empty database.
    pub fn new_database(&self) -> String {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        // One of a test that was killed, in a process of the same number.
        self.drop_database(&name);
        self.run(ROLE, &format!("create database {name}"));
        name
    }

    /// Drops a database, and ends whoever uses it.
    pub fn drop_database(&self, name: &str) {
        self.run(ROLE, &format!("drop database if exists {name} with (force)"));
    }

    /// How to connect to a database over the network.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// The folder of its socket, over which nobody is asked for a password.
    pub fn socket(&self) -> &Path {
        &self.folder
    }

    /// Runs statements in a database, past everything under test, and gives the rows as `a|b` lines.
    ///
    /// # Panics
    /// If one of them fails.
    pub fn run(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new(program("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", ROLE, "-d", database]);
        psql.arg("-h").arg(&self.folder).args(["-p", &self.port.to_string(), "-f", "-"]);
        psql.env("PGOPTIONS", "-c client_min_messages=warning").env("PGCLIENTENCODING", "UTF8");
        psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut psql = psql.spawn().expect("`psql` starts");
        let mut input = psql.stdin.take().expect("its input is piped");
        input.write_all(sql.as_bytes()).expect("`psql` reads");
        drop(input);
        let output = psql.wait_with_output().expect("`psql` ends");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Keeps::Private(child) = &self.keeps {
            if child.is_some() {
                // One that a test left paused hears nothing else.
                self.resume();
            }
            self.stop("QUIT");
            // A folder that stays is only untidy.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Sends a signal to processes, some of which may have ended meanwhile.
///
/// # Panics
/// If none of them is there.
fn signal(name: &str, processes: &[u32]) {
    let numbers = processes.iter().map(u32::to_string);
    let sent = Command::new("kill").arg(format!("-{name}")).args(numbers).stderr(Stdio::null()).status();
    let any_left = || processes.iter().any(|number| Path::new(&format!("/proc/{number}")).exists());
    assert!(sent.expect("`kill` is there").success() || any_left(), "{processes:?} are gone already");
}

/// The processes that it started.
fn children_of(parent: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").expect("processes are in /proc").flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |number: &u32| {
        let stat = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        // After the name, which may hold anything: the state, then the parent.
        let after = stat.rsplit_once(')').map(|(_, after)| after).unwrap_or_default();
        after.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    numbers.filter(is_child).collect()
}

/// The shared server, if it runs, with the lock on it.
fn running(current: &Path) -> Option<Server> {
    let text = fs::read_to_string(current).ok()?;
    let (folder, port) = text.split_once('\n')?;
    let port = port.trim().parse().ok()?;
    let lock = File::open(lock_of(Path::new(folder))).ok()?;
    // Waits while the server is being ended.
    lock.lock_shared().ok()?;
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    Some(Server { folder: folder.into(), port, keeps: Keeps::Shared { _lock: lock }, settings: Vec::new() })
}

fn lock_of(folder: &Path) -> PathBuf {
    folder.with_extension("users")
}

/// The caller holds the lock that lets one start it at a time.
fn start_shared(base: &Path) -> Server {
    let folder = base.join(format!("run-{}", std::process::id()));
    // Of a process of the same number, long gone.
    let _ = fs::remove_dir_all(&folder);
    initialise(&folder);
    let lock = File::create(lock_of(&folder)).expect("the lock file can be made");
    lock.lock_shared().expect("the lock can be taken");
    let script = folder.join("supervise.sh");
    fs::write(&script, SUPERVISE).expect("the script can be written");
    let port = free_port();
    let server = as_postgres(Some("INT"), &program("postgres"));
    let mut command = Command::new("setsid");
    command.arg("sh").arg(&script).arg(&folder).arg(lock_of(&folder));
    command.arg(server.get_program()).args(server.get_args()).args(arguments(&folder, port));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    #[expect(clippy::zombie_processes, reason = "it outlives this process, on purpose; the script ends it")]
    let supervisor = command.current_dir("/").spawn().expect("`setsid` starts");
    let mut word = String::new();
    let mut said = BufReader::new(supervisor.stdout.expect("what it says is piped"));
    said.read_line(&mut word).expect("what it says can be read");
    let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
    assert_eq!(word, "ready\n", "the server did not start: {}", log());
    Server { folder, port, keeps: Keeps::Shared { _lock: lock }, settings: Vec::new() }
}

const READY: &str = "database system is ready to accept connections";

fn await_ready(log: &mut impl BufRead) {
    let mut told = String::new();
    loop {
        let mut line = String::new();
        let read = log.read_line(&mut line).expect("what the server says can be read");
        assert!(read > 0, "the server did not start: {told}");
        if line.contains(READY) {
            return;
        }
        told.push_str(&line);
    }
}

fn arguments(folder: &Path, port: u16) -> Vec<String> {
    let folder = folder.display();
    let mut arguments = vec!["-D".into(), format!("{folder}/data"), "-k".into(), folder.to_string()];
    arguments.extend(["-p".into(), port.to_string()]);
    for setting in SETTINGS {
        arguments.extend(["-c".into(), (*setting).into()]);
    }
    arguments
}

/// A folder with an empty cluster in it.
fn initialise(folder: &Path) {
    make_folder(folder);
    let password = folder.join("password");
    fs::write(&password, PASSWORD).expect("the password can be written");
    let mut command = as_postgres(None, &program("initdb"));
    command.arg("-D").arg(folder.join("data")).args(["-U", ROLE, "--encoding=UTF8", "--locale=C"]);
    command.args(["--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync", "--no-instructions"]);
    command.arg(format!("--pwfile={}", password.display())).current_dir("/");
    let output = command.stdin(Stdio::null()).output().expect("`initdb` starts");
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
}

/// A folder that the server's user owns.
fn make_folder(folder: &Path) {
    fs::create_dir_all(folder).expect("a temporary folder can be made");
    if is_root() {
        let owned = Command::new("chown").arg("postgres:postgres").arg(folder).status();
        assert!(owned.expect("`chown` is there").success(), "there is no user `postgres`");
    }
}

/// A certificate for `localhost` and the one that signed it.
fn certificates(folder: &Path) {
    let script = "set -e
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=renkei-test-ca \
            -addext basicConstraints=critical,CA:TRUE -keyout ca.key -out ca.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost \
            -keyout data/server.key -out server.csr
        printf 'subjectAltName=DNS:localhost\\nbasicConstraints=CA:FALSE\\n' > server.ext
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile server.ext -out data/server.crt
        chmod 600 data/server.key";
    let mut command = as_postgres(None, Path::new("sh"));
    let output = command.args(["-c", script]).current_dir(folder).output().expect("`sh` starts");
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
}

/// A command as the user that the server runs as: it refuses to run as root. `death` is the signal that it
/// gets when whoever started it is gone.
fn as_postgres(death: Option<&str>, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    if let Some(signal) = death {
        command.args(["--pdeathsig", signal]);
    }
    command.arg("--").arg(program);
    command
}

fn is_root() -> bool {
    user_id() == "0"
}

fn user_id() -> String {
    let output = Command::new("id").arg("-u").output().expect("`id` is there");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A program of the newest server on this machine.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())))
        .filter(|(_, path)| path.join("bin/initdb").exists())
        .max();
    match newest {
        Some((_, path)) => path.join("bin").join(name),
        None => panic!(
            "PostgreSQL is missing: install the Debian package `postgresql`, or run `cargo xtask test`"
        ),
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("it has an address").port()
}
