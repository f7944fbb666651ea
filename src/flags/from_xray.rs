//! `--from-xray`: where to listen, and where sampling requests go.

use super::component::Component;
use super::{value, Config, FlagError, Receiver};
use crate::aws::region;
use crate::receive::xray;

pub fn fill(given: &Component, config: &mut Config) -> Result<(), FlagError> {
    config.receivers.push(Receiver::Xray(xray::Config {
        address: given.address(value::listen)?,
        upstream: given.optional("upstream", value::url)?,
        region: given
            .optional("region", |text| region::check_region(text).map(|()| text.to_owned()))?,
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bad, config};
    use super::*;

    fn receiver(argument: &str) -> xray::Config {
        match config(&[argument]).receivers.remove(0) {
            Receiver::Xray(receiver) => receiver,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_and_settings() {
        let plain = receiver("--from-xray");
        assert_eq!(plain.address.to_string(), "127.0.0.1:2000");
        assert!(plain.upstream.is_none() && plain.region.is_none());
        let other = receiver("--from-xray=0.0.0.0:1 upstream=http://h:2 region=eu-west-1");
        assert_eq!(other.address.to_string(), "0.0.0.0:1");
        assert_eq!(other.upstream.map(|url| url.to_string()).as_deref(), Some("http://h:2/"));
        assert_eq!(other.region.as_deref(), Some("eu-west-1"));
    }

    #[test]
    fn bad_values() {
        bad(
            &["--from-xray=region=eu_west"],
            "--from-xray: region=\"eu_west\": region `eu_west` is \
             not one; expected a name like eu-west-1",
        );
        bad(
            &["--from-xray=upstream=h"],
            "--from-xray: upstream=\"h\": expected a URL: `h` has no \
             scheme; write http://h or https://h",
        );
    }
}
