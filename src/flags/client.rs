//! The client keys: what every component that connects out can be told about its peer.

use super::component::Component;
use super::value;
use super::FlagError;
use crate::net::ClientConfig;

/// Reads the client keys; `own_headers` are those the component sets itself.
pub fn fill(given: &Component, own_headers: &[&str]) -> Result<ClientConfig, FlagError> {
    let config = ClientConfig {
        username: given.optional("username", value::word)?,
        password: given.optional("password", value::text)?,
        bearer: given.optional("bearer", value::text)?,
        headers: given.named("header.", value::text)?,
        tls_ca: given.optional("tls.ca", value::filled)?,
        tls_cert: given.optional("tls.cert", value::filled)?,
        tls_key: given.optional("tls.key", value::filled)?,
        tls_server_name: given.optional("tls.server_name", value::word)?,
        tls_insecure: given.get("tls.insecure", value::switch)?,
        timeout: given.get("timeout", value::interval)?,
        proxy: given.optional("proxy", value::url)?,
        name: given.optional("name", value::word)?,
    };
    match (&config.tls_cert, &config.tls_key) {
        (Some(_), None) => return Err(given.error("tls.cert", "expected tls.key too")),
        (None, Some(_)) => return Err(given.error("tls.key", "expected tls.cert too")),
        _ => {}
    }
    config.render_headers(own_headers).map_err(|why| given.error("", &why))?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bad, config};
    use super::super::{Exporter, Receiver};
    use super::*;

    fn client(settings: &str) -> ClientConfig {
        let value = format!("http://h {settings}");
        match config(&["--from-scrape=http://h", "--to-remote-write", &value]).exporters.remove(0) {
            Exporter::RemoteWrite(config) => config.client,
            other => panic!("{other:?}"),
        }
    }

    fn bad_client(settings: &str, message: &str) {
        bad(&["--to-remote-write", &format!("http://h {settings}")], message);
    }

    #[test]
    fn client_keys() {
        assert_eq!(client(""), ClientConfig::default());
        let all = client(
            "username=u password=\"a b\" header.X-A=1 header.X-B=${SECRET} tls.ca=/ca \
             tls.cert=/c tls.key=/k tls.server_name=n tls.insecure timeout=1m proxy=http://p:1 \
             name=db",
        );
        let headers = [("X-A", "1"), ("X-B", "s3 \"cret")];
        let text = |text: &str| Some(text.to_owned());
        assert_eq!((all.username, all.password), (text("u"), text("a b")));
        assert_eq!(all.headers, headers.map(|(name, value)| (name.into(), value.into())));
        assert_eq!((all.tls_ca, all.tls_cert, all.tls_key), (text("/ca"), text("/c"), text("/k")));
        assert_eq!((all.tls_server_name, all.tls_insecure), (text("n"), true));
        assert_eq!((all.timeout.as_secs(), all.name), (60, text("db")));
        assert_eq!(all.proxy.map(|proxy| proxy.host_port()), text("p:1"));
        assert_eq!(client("bearer=${SECRET}").bearer, text("s3 \"cret"));
        let scrape = config(&["--from-scrape=http://h name=app bearer=x"]).receivers.remove(0);
        let Receiver::Scrape(scrape) = scrape else { panic!("{scrape:?}") };
        assert_eq!((scrape.client.name, scrape.client.bearer), (text("app"), text("x")));
    }

    #[test]
    fn bad_client_keys() {
        bad_client("password=x", "--to-remote-write: password: needs username= too");
        bad_client("tls.cert=x", "--to-remote-write: tls.cert: expected tls.key too");
        bad_client("tls.key=x", "--to-remote-write: tls.key: expected tls.cert too");
        bad_client("tls.key=", "--to-remote-write: tls.key=***: expected a text that is not empty");
        bad_client(
            "proxy=p:3128",
            "--to-remote-write: proxy=\"p:3128\": expected a URL: \
             `p:3128` has no scheme; write http://p:3128 or https://p:3128",
        );
        bad_client(
            "timeout=0s",
            "--to-remote-write: timeout=\"0s\": expected a duration above zero",
        );
        bad_client(
            "header.Content-Type=x",
            "--to-remote-write: header.Content-Type: this header is set by otlet itself",
        );
    }

    #[test]
    fn secrets_are_never_shown() {
        let hidden = |settings: &str| {
            let value = format!("--to-remote-write=http://h {settings}");
            let error = super::super::tests::run(&["--from-scrape=http://h", &value]).unwrap_err();
            assert!(!error.to_string().contains("s3"), "{error}");
        };
        hidden("password=\"s3\"x");
        hidden("password=a s3");
        hidden("bearer=a s3=b");
        hidden("header.X=\"a\ns3\"");
        hidden("header.A=s3 header.a=s3");
        hidden("bearer=s3 bearer=s3");
        hidden("batch=${SECRET}");
        hidden("proxy=${SECRET}");
        hidden("http://u:s3@h");
        hidden("proxy=u:s3@h");
        hidden("proxy=http://u:s3@h");
        hidden("proxy=ftp://h?key=s3");
        hidden("tls.insecure=${SECRET}");
        hidden("username=${SECRET}:x");
    }
}
