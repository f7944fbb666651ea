//! `--to-xray`: one destination, by its region or its address.

use super::component::Component;
use super::{client, value, Config, Exporter, FlagError};
use crate::aws::region;
use crate::export::xray;

pub fn fill(given: &Component, config: &mut Config) -> Result<(), FlagError> {
    let client = client::fill(given, &xray::OWN_HEADERS)?;
    let mut sigv4 = client::always_signing(given, &client)?;
    let endpoint = given.address(|text| {
        if text.contains("://") {
            return value::url(text);
        }
        region::check_region(text)?;
        region::endpoint("xray", text, &config.environment)
    })?;
    if let (None, Ok(region)) = (&sigv4.region, given.address(value::word)) {
        // An endpoint from the environment does not tell its region.
        sigv4.region = Some(region).filter(|region| !region.contains("://"));
    }
    config.exporters.push(Exporter::Xray(xray::Config {
        endpoint,
        pace: client::pace(given)?,
        sigv4,
        client,
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bad, config};
    use super::*;

    fn destination(value: &str) -> xray::Config {
        match config(&["--from-scrape=http://h", "--to-xray", value]).exporters.remove(0) {
            Exporter::Xray(destination) => destination,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults() {
        let mut destination = destination("eu-west-1");
        assert_eq!(destination.endpoint.to_string(), "https://xray.eu-west-1.amazonaws.com/");
        assert_eq!(destination.sigv4.region.take().as_deref(), Some("eu-west-1"));
        // Debug shows every field; secrets have no default.
        let in_code = xray::Config::for_endpoint(destination.endpoint.clone());
        assert_eq!(format!("{destination:?}"), format!("{in_code:?}"));
    }

    #[test]
    fn settings() {
        let china = destination("cn-north-1 queue=1MiB retry_for=0s batch=2s");
        assert_eq!(china.endpoint.host, "xray.cn-north-1.amazonaws.com.cn");
        assert_eq!((china.pace.queue, china.pace.retry_for.as_secs()), (Some(1 << 20), 0));
        assert_eq!(china.pace.batch.as_secs(), 2);
        let url = destination("http://127.0.0.1:1 region=eu-west-1 role_arn=arn:aws:iam::1:role/x");
        assert_eq!(url.endpoint.to_string(), "http://127.0.0.1:1/");
        assert_eq!(url.sigv4.region.as_deref(), Some("eu-west-1"));
        assert_eq!(url.sigv4.role_arn.as_deref(), Some("arn:aws:iam::1:role/x"));
        assert_eq!(destination("http://127.0.0.1:1").sigv4.region, None);
    }

    #[test]
    fn bad_values() {
        bad(
            &["--to-xray", "eu_west"],
            "--to-xray: \"eu_west\": region `eu_west` is not one; \
             expected a name like eu-west-1",
        );
        bad(&["--to-xray", "eu-west-1 bearer=x"], "--to-xray: sigv4: give either this or bearer=");
        bad(
            &["--to-xray", "eu-west-1 batch=0s"],
            "--to-xray: batch=\"0s\": expected a duration above zero",
        );
    }
}
