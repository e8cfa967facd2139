//! A PostgreSQL of a test's own, which may be killed and stopped.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

/// Has one database, `shop`, and lets everybody in as `postgres`.
pub(crate) struct Server {
    addr: SocketAddr,
    postmaster: Child,
    _dir: TempDir,
    _template: Arc<TempDir>,
}

impl Server {
    /// Starts one on a copy of the same files as all others: a primary and its promoted copy, as it were.
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let files = dir.path().join("files");
        let template = template();
        run(Command::new("cp")
            .arg("-a")
            .arg(template.path().join("files"))
            .arg(&files));
        let (uid, gid) = account();
        std::os::unix::fs::chown(dir.path(), Some(uid), Some(gid)).unwrap();
        let addr = free_addr();
        let mut postgres = Command::new(bin().join("postgres"));
        postgres
            .args(["-D", files.to_str().unwrap()])
            .args(["-c", &format!("port={}", addr.port())])
            .args([
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
            ])
            .args([
                "-c",
                "fsync=off",
                "-c",
                "shared_buffers=16MB",
                "-c",
                "autovacuum=off",
            ])
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let postmaster = become_owner(&mut postgres).spawn().unwrap();
        let server = Self {
            addr,
            postmaster,
            _dir: dir,
            _template: template,
        };
        while PgConnection::connect(&server.url_of("postgres")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server.administer("CREATE DATABASE shop").await;
        server
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Kills it, as a power cut does, but for the machine below, which still answers.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Stops every process of it.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Runs a statement past every proxy.
    pub(crate) async fn administer(&self, statement: &'static str) {
        let mut connection = PgConnection::connect(&self.url_of("postgres")).await.unwrap();
        connection.execute(statement).await.unwrap();
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@{}/{database}", self.addr)
    }

    fn signal(&self, signal: Signal) {
        let postmaster = self.postmaster.id();
        // First the postmaster, so that it starts nobody while the others are looked up.
        for pid in std::iter::once(postmaster).chain(children(postmaster)) {
            // One may have ended by itself.
            let _ = kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = self.postmaster.wait();
    }
}

/// The processes that `parent` started, orphans of a dead parent not among them.
fn children(parent: u32) -> Vec<u32> {
    let stat = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let is_child = |pid: &u32| {
        // pid (name) state ppid …
        let stat = stat(pid);
        let fields = stat.rsplit(") ").next().unwrap_or_default();
        fields.split(' ').nth(1) == Some(&parent.to_string())
    };
    let entries = fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(is_child)
        .collect()
}

/// The files of an empty PostgreSQL, made once for the tests that run at a time.
fn template() -> Arc<TempDir> {
    static TEMPLATE: Mutex<Weak<TempDir>> = Mutex::new(Weak::new());
    let mut template = TEMPLATE.lock().unwrap();
    if let Some(dir) = template.upgrade() {
        return dir;
    }
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let (uid, gid) = account();
    std::os::unix::fs::chown(dir.path(), Some(uid), Some(gid)).unwrap();
    let mut initdb = Command::new(bin().join("initdb"));
    initdb
        .arg("-D")
        .arg(dir.path().join("files"))
        .args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ])
        .current_dir("/");
    run(become_owner(&mut initdb));
    *template = Arc::downgrade(&dir);
    dir
}

fn bin() -> PathBuf {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is installed: see tests/run")
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    versions.pop().expect("PostgreSQL is installed: see tests/run").1
}

/// PostgreSQL refuses to run as root.
fn account() -> (u32, u32) {
    let own = (rustix::process::getuid(), rustix::process::getgid());
    if !own.0.is_root() {
        return (own.0.as_raw(), own.1.as_raw());
    }
    let id = |flag: &str| {
        let output = Command::new("id").args([flag, "postgres"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    };
    (id("-u"), id("-g"))
}

fn become_owner(command: &mut Command) -> &mut Command {
    let (uid, gid) = account();
    if rustix::process::getuid().is_root() {
        command.uid(uid).gid(gid);
    }
    command.env("LC_ALL", "C.UTF-8")
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

fn free_addr() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}
