//! TLS and credentials of a destination, from outside; and that secrets stay where they are.

mod support;

use std::fs;

use support::http::Message;
use support::otlet::{Exit, Otlet};
use support::remote_write::RemoteWrite;
use support::scripted::{Answer, HttpServer};
use support::tls::{tls_in_front_of, Authority};

const PAGE: &str = "a 1\n";
/// What every secret here begins with.
const SECRET: &str = "s3cr3t";

/// Starts otlet with one target and one destination; `env` is what its flags may name.
fn start(target: &HttpServer, destination: &str, env: &[(&str, &str)]) -> Otlet {
    let mut command = Otlet::command();
    command.envs(env.iter().copied()).args(["--admin=127.0.0.1:0", "--linger=0s"]).args([
        format!("--from-scrape={} interval=100ms timeout=100ms", target.url("/metrics")),
        format!("--to-remote-write={destination} batch=50ms"),
    ]);
    Otlet::spawn(&mut command)
}

/// One empty request to the destination.
fn check(destination: &str, env: &[(&str, &str)]) -> Exit {
    let mut command = Otlet::command();
    command.envs(env.iter().copied()).args(["--from-scrape=http://127.0.0.1:9", "--check"]);
    Otlet::run(command.arg(format!("--to-remote-write={destination}")))
}

#[track_caller]
fn assert_hidden(otlet: &Otlet) {
    let page = support::http::get(otlet.admin(), "/metrics").unwrap().text();
    let health = support::http::get(otlet.admin(), "/").unwrap().text();
    let said = [otlet.log().join("\n"), otlet.stdout().join("\n"), page, health].join("\n");
    assert!(!said.contains(SECRET), "{said}");
}

#[test]
fn basic_bearer_and_headers_arrive_and_are_never_shown() {
    let target = HttpServer::page(PAGE);
    for (settings, header, value) in [
        // Base64 of `me:s3cr3t "1" é`.
        ("username=me password=${P}", "authorization", "Basic bWU6czNjcjN0ICIxIiDDqQ=="),
        ("bearer=${T}", "authorization", "Bearer s3cr3t-token"),
        ("header.X-Scope-OrgID=${T} header.Other=o", "x-scope-orgid", "s3cr3t-token"),
    ] {
        let receiver = RemoteWrite::start();
        // Refused first, so that errors are written about it too.
        receiver.http.next([Answer::Response(Message::response(401, "who are you?"))]);
        let env = [("P", "s3cr3t \"1\" é"), ("T", "s3cr3t-token")];
        let otlet = start(&target, &format!("{} {settings}", receiver.url()), &env);
        let requests = receiver.http.wait_requests(3);
        assert!(requests.iter().all(|request| request.header(header) == Some(value)));
        otlet.wait_log("401: who are you?");
        assert_hidden(&otlet);
        let exit = otlet.stop();
        assert!(!exit.stderr.join("\n").contains(SECRET));
    }
}

#[test]
fn a_wrong_flag_beside_a_secret_does_not_show_it() {
    let env = [("P", "s3cr3t")];
    for settings in
        ["username=a password=${P} bearer=${P}", "header.Host=${P}", "bearer=${P} x=${P}"]
    {
        let exit = check(&format!("http://127.0.0.1:9/ {settings}"), &env);
        let said = [exit.stderr, exit.stdout].concat().join("\n");
        assert_eq!(exit.status.code(), Some(2), "{said}");
        assert!(!said.contains(SECRET), "{said}");
    }
}

#[test]
fn an_own_authority_is_trusted_as_file_and_as_text() {
    let authority = Authority::new();
    let (target, receiver) = (HttpServer::page(PAGE), RemoteWrite::start());
    let tls = tls_in_front_of(receiver.http.server.address, &authority.localhost(), &[]);
    let url = format!("https://localhost:{}/api/v1/write", tls.address.port());
    let pem = fs::read_to_string(authority.certificate()).unwrap();
    let file = authority.certificate();
    for (settings, env) in [
        (format!("tls.ca={}", file.display()), vec![]),
        ("tls.ca=${CA}".to_owned(), vec![("CA", pem.as_str())]),
        ("tls.insecure".to_owned(), vec![]),
    ] {
        let before = receiver.http.requests().len();
        let otlet = start(&target, &format!("{url} {settings}"), &env);
        receiver.http.wait_requests(before + 2);
        assert_eq!(otlet.stop().status.code(), Some(0));
    }
    let exit = check(&url, &[]);
    assert_eq!(exit.status.code(), Some(1));
    let said = exit.stdout.join("\n");
    assert!(said.contains("tls.ca"), "it says what to do: {said}");
}

#[test]
fn the_servers_name_is_what_is_verified() {
    let authority = Authority::new();
    let receiver = RemoteWrite::start();
    let key = "ec -pkeyopt ec_paramgen_curve:P-256";
    let identity = authority.issue("other", "DNS:metrics.example", key);
    let tls = tls_in_front_of(receiver.http.server.address, &identity, &[]);
    let ca = authority.certificate();
    let to = format!("https://127.0.0.1:{}/w tls.ca={}", tls.address.port(), ca.display());
    assert_eq!(check(&to, &[]).status.code(), Some(1));
    let exit = check(&format!("{to} tls.server_name=metrics.example"), &[]);
    assert_eq!(exit.status.code(), Some(0), "{:?}", exit.stdout);
    assert_eq!(receiver.requests().len(), 1, "an empty request, and valid");
}

#[test]
fn a_client_certificate_is_shown_where_one_is_asked_for() {
    let authority = Authority::new();
    let receiver = RemoteWrite::start();
    let ca = authority.certificate();
    let ca = ca.to_str().unwrap();
    let server = authority.localhost();
    let tls = tls_in_front_of(receiver.http.server.address, &server, &["--client-ca", ca]);
    let to = format!("https://localhost:{}/w tls.ca={ca}", tls.address.port());
    assert_eq!(check(&to, &[]).status.code(), Some(1));
    let own = authority.issue("own", "DNS:own", "ec -pkeyopt ec_paramgen_curve:P-256");
    let [certificate, key] = [own.certificate, own.key].map(|path| path.display().to_string());
    let exit = check(&format!("{to} tls.cert={certificate} tls.key={key}"), &[]);
    assert_eq!(exit.status.code(), Some(0), "{:?}", exit.stdout);
}
