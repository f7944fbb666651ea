//! The client keys: what every component that connects out can be told about its peer.

use super::component::Component;
use super::value;
use super::FlagError;
use crate::aws::SigV4Config;
use crate::export::pace::Pace;
use crate::net::ClientConfig;

/// Keys that say how to sign, and so need `sigv4`.
const OF_SIGV4: [&str; 5] = ["region", "service", "role_arn", "external_id", "sts"];

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

/// Reads what all senders of batches have in common.
pub fn pace(given: &Component) -> Result<Pace, FlagError> {
    Ok(Pace {
        batch: given.get("batch", value::interval)?,
        queue: given.optional("queue", value::size)?,
        retry_for: given.get("retry_for", value::duration)?,
    })
}

/// Reads the keys that ask for AWS's signatures; `client` are the others. None without `sigv4`.
pub fn signing(given: &Component, client: &ClientConfig) -> Result<Option<SigV4Config>, FlagError> {
    if !given.get("sigv4", value::switch)? {
        return match given.any_of(&OF_SIGV4) {
            Some(key) => Err(given.error(key, "needs sigv4 too")),
            None => Ok(None),
        };
    }
    always_signing(given, client).map(Some)
}

/// The same for a component that always signs, with or without `sigv4`.
pub fn always_signing(given: &Component, client: &ClientConfig) -> Result<SigV4Config, FlagError> {
    if let Some(key) = given.any_of(&["username", "password", "bearer"]) {
        return Err(given.error("sigv4", &format!("give either this or {key}=")));
    }
    for (name, _) in &client.headers {
        let name = name.to_ascii_lowercase();
        if name == "authorization" || name.starts_with("x-amz-") {
            let why = "this header is set by sigv4";
            return Err(given.error(&format!("header.{name}"), why));
        }
    }
    let config = SigV4Config {
        region: given.optional("region", value::word)?,
        service: given.optional("service", value::word)?,
        role_arn: given.optional("role_arn", value::word)?,
        external_id: given.optional("external_id", value::word)?,
        sts: given.optional("sts", value::url)?,
    };
    config.check().map_err(|why| given.error("", &why))?;
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
    fn signing_keys() {
        let of = |settings: &str| {
            let value = format!("http://h {settings}");
            let args = ["--from-scrape=http://h", "--to-remote-write", &value];
            match super::super::tests::config(&args).exporters.remove(0) {
                Exporter::RemoteWrite(config) => config.sigv4,
                other => panic!("{other:?}"),
            }
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!((of(""), of("sigv4=false")), (None, None));
        assert_eq!(of("sigv4 header.X-A=1"), Some(SigV4Config::default()));
        let all = of("sigv4 region=eu-west-1 service=aps external_id=a/b sts=http://s:1/x \
             role_arn=arn:aws:iam::111122223333:role/amp");
        let all = all.unwrap();
        assert_eq!((all.region, all.service), (text("eu-west-1"), text("aps")));
        assert_eq!(all.role_arn, text("arn:aws:iam::111122223333:role/amp"));
        assert_eq!(all.external_id, text("a/b"));
        assert_eq!(all.sts.map(|url| url.to_string()), text("http://s:1/x"));
    }

    #[test]
    fn bad_signing_keys() {
        bad_client("region=a", "--to-remote-write: region: needs sigv4 too");
        bad_client("sigv4=false sts=http://h", "--to-remote-write: sts: needs sigv4 too");
        bad_client("sigv4 bearer=x", "--to-remote-write: sigv4: give either this or bearer=");
        bad_client("sigv4 username=x", "--to-remote-write: sigv4: give either this or username=");
        for name in ["authorization", "x-amz-date"] {
            bad_client(
                &format!("sigv4 header.{name}=x"),
                &format!("--to-remote-write: header.{name}: this header is set by sigv4"),
            );
        }
        bad_client("sigv4=1", "--to-remote-write: sigv4=\"1\": expected true, false");
        bad_client(
            "sigv4 region=a/b",
            "--to-remote-write: region: region `a/b` is not one; expected a name like eu-west-1",
        );
        bad_client(
            "sigv4 role_arn=amp",
            "--to-remote-write: role_arn: `amp` is not one; \
             expected arn:aws:iam::ACCOUNT:role/NAME",
        );
        bad_client("sigv4 external_id=ab", "--to-remote-write: external_id: needs role_arn= too");
        bad(
            &["--from-scrape=http://h sigv4"],
            "--from-scrape: sigv4: only what is sent is signed; expected it in a --to-… flag",
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
        hidden("sigv4 role_arn=arn:aws:iam::111122223333:role/amp external_id=\"s3 é\"");
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
