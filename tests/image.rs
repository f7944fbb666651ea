//! The image: exactly what is meant to be in it, and the program at work inside, as process 1 with
//! a read-only root and a numeric user.
//!
//! Needs root, a static binary (`make test` builds it), and runc; where runc cannot run, unshare
//! and chroot stand in, without the read-only root.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::OnceLock;

use support::json::Json;
use support::otlet::{Exit, Otlet};
use support::scripted::HttpServer;
use support::*;

/// What a task pulls may weigh.
const COMPRESSED_BYTES_MAX: u64 = 1_700_000;
/// Whether src/main.rs is a program yet; until then only exit statuses can be looked at.
const PROGRAM_RUNS: bool = false;

const FILES: &[&str] = &[
    "lrwxrwxrwx 0/0 healthcheck -> otlet",
    "-rwxr-xr-x 0/0 otlet",
    "drwxr-xr-x 0/0 run/",
    "drwxr-xr-x 65532/65532 run/otlet/",
    "drwxr-xr-x 0/0 var/",
    "drwxr-xr-x 0/0 var/spool/",
    "drwxr-xr-x 65532/65532 var/spool/otlet/",
];

/// The image, unpacked once: archive, layout, and the one layer as a root file system.
struct Image {
    folder: TempDir,
    manifest: Json,
    config: Json,
}

impl Image {
    fn build() -> Image {
        let folder = TempDir::new();
        write_archive(&folder.path().join("image.tar"));
        let layout = folder.path().join("layout");
        unpack(&folder.path().join("image.tar"), &layout);
        let index = read_json(&layout.join("index.json"));
        let manifest = read_json(&blob(&layout, &index.get("manifests").list()[0]));
        let config = read_json(&blob(&layout, manifest.get("config")));
        let image = Image { folder, manifest, config };
        unpack(&image.layer(), &image.folder.path().join("rootfs"));
        image
    }

    fn layer(&self) -> PathBuf {
        blob(&self.folder.path().join("layout"), &self.manifest.get("layers").list()[0])
    }
}

fn write_archive(path: &Path) {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut command = Command::new("python3");
    command.arg(repository("scratch-image/oci")).arg(static_binary()).arg(target).arg(path);
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
}

fn unpack(archive: &Path, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let mut command = Command::new("tar");
    command.arg("-xpf").arg(archive).arg("-C").arg(folder).arg("--numeric-owner");
    assert!(command.status().unwrap().success());
}

fn read_json(path: &Path) -> Json {
    Json::parse(&fs::read_to_string(path).unwrap())
}

/// The file of a descriptor; its size must be as described.
fn blob(layout: &Path, descriptor: &Json) -> PathBuf {
    let digest = descriptor.get("digest").text().replace(':', "/");
    let path = layout.join("blobs").join(digest);
    assert_eq!(fs::metadata(&path).unwrap().len() as f64, descriptor.get("size").number());
    path
}

#[test]
fn it_holds_exactly_what_is_meant_to_be_there() {
    let image = Image::build();
    assert_eq!(image.manifest.get("layers").list().len(), 1);
    let list =
        Command::new("tar").args(["-tvzf"]).arg(image.layer()).arg("--numeric-owner").output();
    let list = String::from_utf8(list.unwrap().stdout).unwrap();
    // lrwxrwxrwx 0/0   0 1970-01-01 00:00 healthcheck -> otlet
    let without_size_and_time = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        [&words[..2], &words[5..]].concat().join(" ")
    };
    assert_eq!(list.lines().map(without_size_and_time).collect::<Vec<_>>(), FILES);
    let binary = fs::read(image.folder.path().join("rootfs/otlet")).unwrap();
    assert!(binary == fs::read(static_binary()).unwrap());
    let bytes = fs::metadata(image.layer()).unwrap().len();
    assert!(bytes < COMPRESSED_BYTES_MAX, "{bytes} bytes compressed");
}

#[test]
fn its_configuration_says_how_to_run_it() {
    let image = Image::build();
    let config = image.config.get("config");
    assert_eq!(config.get("User").text(), "65532:65532");
    assert_eq!(config.get("Entrypoint").list(), [Json::Text("/otlet".into())]);
    assert_eq!([config.get("Cmd"), config.get("Env")], [&Json::Null; 2]);
    assert_eq!(image.config.get("os").text(), "linux");
    let names = config.get("Labels").labels();
    assert_eq!(names["org.opencontainers.image.licenses"], "Apache-2.0");
    // The Dockerfile, which cannot be built here, says the same.
    let file = fs::read_to_string(repository("scratch-image/Dockerfile")).unwrap();
    let last_stage = file.rsplit("FROM scratch").next().unwrap();
    for line in ["USER 65532:65532", "ENTRYPOINT [\"/otlet\"]", "EXPOSE 13133/tcp"] {
        assert!(last_stage.lines().any(|own| own == line), "{line}");
    }
    for (name, value) in names.iter().filter(|(name, _)| !name.ends_with("revision")) {
        assert!(last_stage.contains(&format!("{name}=\"{value}\"")), "{name}");
    }
}

#[test]
fn the_same_binary_gives_the_same_image() {
    let folder = TempDir::new();
    let [one, two] = ["one.tar", "two.tar"].map(|name| folder.path().join(name));
    write_archive(&one);
    write_archive(&two);
    assert!(fs::read(one).unwrap() == fs::read(two).unwrap());
}

#[test]
fn an_engine_accepts_it() {
    if !is_root() {
        return eprintln!("skipped: buildah needs root here");
    }
    let folder = TempDir::new();
    write_archive(&folder.path().join("image.tar"));
    let mut command = Command::new(program("buildah"));
    command.args(["--root=store", "--runroot=run", "--storage-driver=vfs"]);
    command.args(["pull", "--quiet", "oci-archive:image.tar"]).current_dir(folder.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn it_answers_and_refuses() {
    if !is_root() {
        return eprintln!("skipped: containers need root here");
    }
    let image = Image::build();
    let run = |words: &[&str]| Container::new(&image, words).run();
    let version = run(&["/otlet", "--version"]);
    assert_eq!(version.status.code(), Some(0), "{:?}", version.stderr);
    assert_eq!(run(&["/otlet", "--help"]).status.code(), Some(0));
    if PROGRAM_RUNS {
        assert!(version.stdout[0].contains(env!("CARGO_PKG_VERSION")), "{:?}", version.stdout);
        assert_eq!(run(&["/otlet", "--nonsense"]).status.code(), Some(2));
        assert_eq!(run(&["/healthcheck", "-port", "1"]).status.code(), Some(1));
    }
}

#[test]
fn it_scrapes_is_healthy_and_stops_as_process_1() {
    if !PROGRAM_RUNS || !is_root() {
        return eprintln!("skipped: containers need root, and a program");
    }
    let image = Image::build();
    let page = HttpServer::page("page_views 7\n");
    let scrape = format!("{} interval=1s", page.url("/metrics"));
    let flags = ["/otlet", "--admin", "127.0.0.1:0", "--from-scrape", &scrape, "--linger", "0s"];
    let container = Container::new(&image, &flags);
    let otlet = Otlet::spawn(&mut container.command());
    let line = otlet.wait_stdout("page_views");
    assert!(line.contains('7'), "{line}");
    let port = otlet.admin().port().to_string();
    let check = Container::new(&image, &["/healthcheck", "-port", &port]).run();
    assert_eq!(check.status.code(), Some(0), "{:?}", check.stderr);
    container.assert_confined();
    let exit = container.stop(otlet);
    assert_eq!(exit.status.code(), Some(0), "{:?}", exit.stderr);
}

/// A container of its own for one command; it goes with this value.
struct Container {
    id: String,
    bundle: TempDir,
    rootfs: PathBuf,
    words: Vec<String>,
}

impl Container {
    fn new(image: &Image, words: &[&str]) -> Container {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let bundle = TempDir::new();
        let rootfs = image.folder.path().join("rootfs");
        bundle.write("config.json", runtime_config(&rootfs, words));
        let words = words.iter().map(|word| word.to_string()).collect();
        let id = format!("otlet-test-{}-{number}", std::process::id());
        Container { id, bundle, rootfs, words }
    }

    fn run(&self) -> Exit {
        Otlet::run(&mut self.command())
    }

    /// The command that runs it in the foreground and passes signals and exit status on.
    fn command(&self) -> Command {
        if runc_works(self) {
            return self.runc();
        }
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "chroot"]);
        command.arg("--userspec=65532:65532").arg(&self.rootfs).args(&self.words);
        command
    }

    /// Process 1, the numeric user, a root that cannot be written: as the kernel sees it.
    fn assert_confined(&self) {
        if !runc_works(self) {
            return eprintln!("skipped: chroot has no read-only root");
        }
        let state = Command::new(program("runc")).args(["state", &self.id]).output().unwrap();
        let state = Json::parse(&String::from_utf8(state.stdout).unwrap());
        let read = |name: &str| {
            fs::read_to_string(format!("/proc/{}/{name}", state.get("pid").number())).unwrap()
        };
        let status = read("status");
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_whitespace().last()).map(String::from)
        };
        assert_eq!(field("NSpid:").as_deref(), Some("1"));
        assert_eq!(field("Uid:").as_deref(), Some("65532"));
        let mounts = read("mountinfo");
        let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/"));
        let options = root.and_then(|line| line.split(' ').nth(5));
        assert!(options.is_some_and(|options| options.starts_with("ro")), "{mounts}");
    }

    /// SIGTERM to process 1; runc forwards it, unshare would die of it.
    fn stop(&self, otlet: Otlet) -> Exit {
        if runc_works(self) {
            return otlet.stop();
        }
        let children = format!("/proc/{0}/task/{0}/children", otlet.pid());
        let children = fs::read_to_string(children).unwrap();
        Command::new("kill").args(children.split_whitespace()).status().unwrap();
        otlet.wait()
    }

    fn runc(&self) -> Command {
        let mut command = Command::new(program("runc"));
        command.arg("run").arg("--bundle").arg(self.bundle.path()).arg(&self.id);
        command
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let mut command = Command::new(program("runc"));
        command.args(["delete", "--force", &self.id]).stderr(Stdio::null());
        let _ = command.status();
    }
}

/// Tried once: not every host lets a test make cgroups and namespaces.
fn runc_works(container: &Container) -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(|| {
        let id = format!("{}-trial", container.id);
        let words = ["/otlet", "--version"];
        let bundle = TempDir::new();
        bundle.write("config.json", runtime_config(&container.rootfs, &words));
        let mut command = Command::new(program("runc"));
        let output =
            command.arg("run").arg("--bundle").arg(bundle.path()).arg(id).output().unwrap();
        if !output.status.success() {
            eprintln!("runc cannot run here: {}", String::from_utf8_lossy(&output.stderr));
        }
        output.status.success()
    })
}

/// The least an OCI runtime needs (OCI Runtime Specification 1.0, "Configuration"). The network is
/// the test's own, so that it can be scraped and asked.
fn runtime_config(rootfs: &Path, words: &[&str]) -> String {
    let quoted = words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(",");
    let root = rootfs.display();
    format!(
        r#"{{
          "ociVersion": "1.0.2",
          "root": {{ "path": "{root}", "readonly": true }},
          "process": {{
            "user": {{ "uid": 65532, "gid": 65532 }}, "cwd": "/", "args": [{quoted}],
            "noNewPrivileges": true
          }},
          "mounts": [{{ "destination": "/proc", "type": "proc", "source": "proc" }}],
          "linux": {{
            "namespaces": [{{ "type": "pid" }}, {{ "type": "mount" }}, {{ "type": "ipc" }}]
          }}
        }}"#
    )
}
