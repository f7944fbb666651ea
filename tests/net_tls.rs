//! TLS of the HTTP client against OpenSSL's server and a rustls server, over loopback.
//!
//! Needs the `openssl` command, which also makes the certificates.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use otlet::net::http1::{Client, Request};
use otlet::net::{run, timeout, ClientConfig, Error, ErrorKind, Url};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

const DEADLINE: Duration = Duration::from_secs(20);

const GET: Request<'_> = Request { method: "GET", target: "/", headers: "", body: None };

/// A folder with `ca.pem` and, signed by it, `ec`, `rsa` and `client` (`.pem`, `.key`).
fn certificates() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("net_tls");
        std::fs::create_dir_all(&folder).expect("folder");
        let ec = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1";
        let ca = "-x509 -days 30 -subj /CN=otlet-test-ca -addext keyUsage=keyCertSign";
        openssl(&folder, &format!("req {ec} -nodes {ca} -keyout ca.key -out ca.pem"));
        let names = "subjectAltName=DNS:localhost,DNS:good.example,IP:127.0.0.1\n";
        std::fs::write(folder.join("names"), names).expect("names");
        for (name, key) in [("ec", ec), ("rsa", "-newkey rsa:2048"), ("client", ec)] {
            let request = format!("req {key} -nodes -subj /CN={name} -keyout {name}.key -out csr");
            openssl(&folder, &request);
            let sign = "x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30";
            openssl(&folder, &format!("{sign} -extfile names -out {name}.pem"));
        }
        folder
    })
}

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .expect("the openssl command");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {errors}");
}

fn file(name: &str) -> Option<String> {
    certificates().join(name).to_str().map(str::to_owned)
}

/// OpenSSL's server, which answers each request with a page about the session.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(certificate: &str, options: &str) -> Server {
        let (cert, key) = (format!("{certificate}.pem"), format!("{certificate}.key"));
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-www", "-cert", &cert, "-key", &key])
            .args(options.split_whitespace())
            .current_dir(certificates())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl s_server");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        let port = loop {
            let line = lines.next().expect("s_server goes on").expect("text");
            if let Some(address) = line.strip_prefix("ACCEPT ") {
                break address.rsplit(':').next().expect("port").parse().expect("number");
            }
        };
        // Somebody must read what it goes on to say.
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client(url: &str, config: &ClientConfig) -> Client {
    Client::new(&Url::parse(url).expect("url"), config, Rc::default()).expect("client")
}

async fn fetch(client: &mut Client, request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let exchange = async {
        let mut response = client.send(request).await?;
        let (mut body, mut buffer) = (Vec::new(), vec![0; 20_000]);
        loop {
            match response.read(&mut buffer).await? {
                0 => return Ok(body),
                count => body.extend_from_slice(&buffer[..count]),
            }
        }
    };
    timeout(DEADLINE, exchange).await.expect("in time")
}

fn page(host: &str, server: &Server, config: &ClientConfig) -> Result<String, Error> {
    let mut client = client(&format!("https://{host}:{}/", server.port), config);
    let body = run(fetch(&mut client, &GET))?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn trusting() -> ClientConfig {
    ClientConfig { tls_ca: file("ca.pem"), ..ClientConfig::default() }
}

#[test]
fn both_versions_and_key_types_work() {
    for (certificate, options, version) in
        [("ec", "-tls1_3", "TLSv1.3"), ("rsa", "-tls1_2", "TLSv1.2"), ("rsa", "", "TLSv1.3")]
    {
        let server = Server::start(certificate, options);
        for host in ["localhost", "127.0.0.1"] {
            let text = page(host, &server, &trusting()).expect(version);
            assert!(text.contains(version), "{text}");
        }
        let pem = std::fs::read_to_string(certificates().join("ca.pem")).expect("ca");
        let config = ClientConfig { tls_ca: Some(pem), ..ClientConfig::default() };
        assert!(page("localhost", &server, &config).is_ok(), "PEM text instead of a file");
    }
}

#[test]
fn certificates_are_verified_and_errors_say_what_to_do() {
    let server = Server::start("ec", "");
    let bad = |config: &ClientConfig, message: &str| {
        let error = page("127.0.0.1", &server, config).expect_err(message);
        assert_eq!(error.kind, ErrorKind::Tls, "{error}");
        let lead = format!("127.0.0.1:{}: tls handshake: ", server.port);
        let told = error.to_string();
        assert!(told.starts_with(&lead) && told.contains(message), "{error}");
    };
    bad(&ClientConfig::default(), "unknown authority; name it with tls.ca=");
    let named = |name: &str| Some(name.to_owned());
    bad(
        &ClientConfig { tls_server_name: named("bad.example"), ..trusting() },
        "certificate not valid for name bad.example, only for",
    );
    let other = ClientConfig { tls_server_name: named("good.example"), ..trusting() };
    assert!(page("127.0.0.1", &server, &other).is_ok());
    let insecure = ClientConfig { tls_insecure: true, ..ClientConfig::default() };
    assert!(page("127.0.0.1", &server, &insecure).is_ok());
    let old = Server::start("rsa", "-tls1_2");
    assert!(page("127.0.0.1", &old, &insecure).is_ok(), "TLS 1.2");
}

#[test]
fn a_client_certificate_is_shown() {
    for version in ["-tls1_2", "-tls1_3"] {
        let server = Server::start("ec", &format!("{version} -Verify 1 -CAfile ca.pem"));
        let error = page("localhost", &server, &trusting()).expect_err("no certificate");
        assert_eq!(error.kind, ErrorKind::Tls, "{error}");
        assert!(error.to_string().contains("the peer refused TLS"), "{error}");
        let (tls_cert, tls_key) = (file("client.pem"), file("client.key"));
        let config = ClientConfig { tls_cert, tls_key, ..trusting() };
        assert!(page("localhost", &server, &config).is_ok());
    }
    let (tls_cert, tls_key) = (file("client.pem"), file("rsa.key"));
    let config = ClientConfig { tls_cert, tls_key, ..trusting() };
    let url = Url::parse("https://localhost").expect("url");
    let error = Client::new(&url, &config, Rc::default()).err().expect("another key");
    assert!(error.starts_with("tls.cert, tls.key: "), "{error}");
}

#[test]
fn a_peer_without_tls_is_recognised() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("address").port();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("accept");
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("answer");
        let _ = socket.read_to_end(&mut Vec::new());
    });
    let mut client = client(&format!("https://127.0.0.1:{port}/"), &trusting());
    let error = run(fetch(&mut client, &GET)).expect_err("not TLS");
    assert!(error.to_string().contains("does not speak TLS on this port"), "{error}");
    drop(client);
    server.join().expect("server");
}

type Session = rustls::StreamOwned<rustls::ServerConnection, TcpStream>;

/// A rustls server for one connection, after an optional CONNECT.
fn rustls_server(
    is_proxy: bool,
    serve: impl FnOnce(&mut Session) + Send + 'static,
) -> (u16, JoinHandle<()>) {
    let chain = CertificateDer::pem_file_iter(certificates().join("ec.pem")).expect("chain");
    let chain = chain.collect::<Result<_, _>>().expect("chain");
    let key = PrivateKeyDer::from_pem_file(certificates().join("ec.key")).expect("key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("certificate");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("address").port();
    let thread = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("accept");
        socket.set_read_timeout(Some(DEADLINE)).expect("deadline");
        if is_proxy {
            assert!(read_head(&mut socket).starts_with("CONNECT good.example:443 HTTP/1.1\r\n"));
            socket.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").expect("tunnel");
        }
        let session = rustls::ServerConnection::new(Arc::new(config)).expect("session");
        serve(&mut rustls::StreamOwned::new(session, socket));
    });
    (port, thread)
}

fn read_head(source: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        source.read_exact(&mut byte).expect("head");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("text")
}

#[test]
fn a_connection_is_kept_and_large_bodies_pass_both_ways() {
    const BYTES: usize = 3_000_000;
    let (port, server) = rustls_server(false, |session| {
        for _ in 0..3 {
            let head = read_head(session);
            assert_eq!(session.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
            assert!(head.contains(&format!("Content-Length: {BYTES}\r\n")), "{head}");
            let mut body = vec![0; BYTES];
            session.read_exact(&mut body).expect("body");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n");
            session.write_all(head.as_bytes()).expect("head");
            session.write_all(&body).expect("body");
            session.flush().expect("flush");
        }
    });
    let mut client = client(&format!("https://localhost:{port}/"), &trusting());
    let body: Vec<u8> = (0..BYTES).map(|n| (n % 251) as u8).collect();
    let pieces: Vec<&[u8]> = body.chunks(70_001).collect();
    let request = Request { method: "POST", body: Some(&pieces), ..GET };
    run(async {
        for _ in 0..3 {
            let echoed = fetch(&mut client, &request).await.expect("answer");
            assert!(echoed == body);
            assert!(client.is_idle_connection());
        }
    });
    server.join().expect("server");
}

#[test]
fn a_proxy_is_tunnelled_through() {
    let (port, server) = rustls_server(true, |session| {
        assert!(read_head(session).starts_with("GET / HTTP/1.1\r\nHost: good.example\r\n"));
        session.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").expect("answer");
    });
    let proxy = Url::parse(&format!("http://127.0.0.1:{port}")).ok();
    let config = ClientConfig { proxy, ..trusting() };
    let mut client = client("https://good.example/", &config);
    assert_eq!(run(fetch(&mut client, &GET)), Ok(b"hi".to_vec()));
    server.join().expect("server");
}

#[test]
fn a_body_ends_with_close_notify_alone() {
    for is_orderly in [true, false] {
        let (port, server) = rustls_server(false, move |session| {
            read_head(session);
            session.write_all(b"HTTP/1.1 200 OK\r\n\r\npart").expect("answer");
            if is_orderly {
                session.conn.send_close_notify();
            }
            session.flush().expect("flush");
        });
        let mut client = client(&format!("https://localhost:{port}/"), &trusting());
        match run(fetch(&mut client, &GET)) {
            Ok(body) => assert!(is_orderly && body == b"part"),
            Err(error) => {
                assert!(!is_orderly);
                assert_eq!(error.kind, ErrorKind::Closed, "{error}");
            }
        }
        server.join().expect("server");
    }
}
