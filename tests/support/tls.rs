//! TLS servers with a CA of their own: certificates by the openssl command, the server by Python's
//! ssl, which is OpenSSL. It decrypts for a plain server behind it, so each fake has a TLS face.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::peers::Peer;
use super::{program, python, repository, TempDir};

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug)]
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// A certificate authority that nobody trusts yet.
pub struct Authority {
    folder: TempDir,
    own: Identity,
}

impl Authority {
    pub fn new() -> Authority {
        let folder = TempDir::new();
        let own = Identity {
            certificate: folder.path().join("ca.pem"),
            key: folder.path().join("ca.key"),
        };
        let command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
                       -subj /CN=test-ca -addext basicConstraints=critical,CA:TRUE \
                       -addext keyUsage=critical,keyCertSign -keyout ca.key -out ca.pem";
        openssl(&folder, command);
        Authority { folder, own }
    }

    /// What a client is to trust.
    pub fn certificate(&self) -> PathBuf {
        self.own.certificate.clone()
    }

    /// A certificate for servers or clients; `names` as in `DNS:localhost,IP:127.0.0.1`. `key` is
    /// openssl's: `rsa:2048`, or `ec -pkeyopt ec_paramgen_curve:P-256`.
    pub fn issue(&self, file: &str, names: &str, key: &str) -> Identity {
        self.folder.write(&format!("{file}.ext"), format!("subjectAltName={names}\n"));
        openssl(
            &self.folder,
            &format!(
                "req -newkey {key} -nodes -subj /CN={file} -keyout {file}.key -out {file}.csr"
            ),
        );
        openssl(
            &self.folder,
            &format!(
                "x509 -req -in {file}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
                 -extfile {file}.ext -out {file}.pem"
            ),
        );
        let path = |end: &str| self.folder.path().join(format!("{file}.{end}"));
        Identity { certificate: path("pem"), key: path("key") }
    }

    /// A server for localhost with an EC key.
    pub fn localhost(&self) -> Identity {
        let names = "DNS:localhost,IP:127.0.0.1";
        self.issue("localhost", names, "ec -pkeyopt ec_paramgen_curve:P-256")
    }
}

/// Speaks TLS and passes what it decrypts to `behind`. Flags are those of tls.py: `--version 1.2`,
/// `--client-ca FILE`.
pub fn tls_in_front_of(behind: SocketAddr, identity: &Identity, flags: &[&str]) -> Peer {
    let mut command = python();
    command.arg(repository("tests/support/tls.py")).arg(behind.port().to_string());
    command.arg(&identity.certificate).arg(&identity.key).args(flags);
    Peer::start_announced(command.stderr(Stdio::null()))
}

fn openssl(folder: &TempDir, arguments: &str) {
    let mut command = Command::new(program("openssl"));
    let output = command.args(arguments.split_whitespace()).current_dir(folder.path()).output();
    let output = output.expect("openssl");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {said}");
}
