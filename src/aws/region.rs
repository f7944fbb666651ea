//! Region and service of a destination, and the addresses of AWS's own services.
//!
//! Host names follow the endpoint rules that AWS publishes for its SDKs (partitions, FIPS and
//! dual-stack variants) and AWS PrivateLink's naming of interface endpoints. A region is found by
//! setting, host name, `AWS_REGION`, `AWS_DEFAULT_REGION`, and at last from a metadata endpoint,
//! whose documents are read here and fetched elsewhere.

use super::environment::Environment;
use super::json::Members;
use crate::net::Url;

/// What a partition's host names end in.
struct Partition {
    region_prefix: &'static str,
    suffix: &'static str,
    /// Empty: there are no dual-stack names.
    dual_stack: &'static str,
}

/// The last one takes every other region.
const PARTITIONS: [Partition; 8] = [
    partition("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    partition("us-gov-", "amazonaws.com", "api.aws"),
    partition("us-isob-", "sc2s.sgov.gov", ""),
    partition("us-isof-", "csp.hci.ic.gov", ""),
    partition("us-iso-", "c2s.ic.gov", ""),
    partition("eu-isoe-", "cloud.adc-e.uk", ""),
    partition("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    partition("", "amazonaws.com", "api.aws"),
];

const fn partition(
    region_prefix: &'static str,
    suffix: &'static str,
    dual_stack: &'static str,
) -> Partition {
    Partition { region_prefix, suffix, dual_stack }
}

/// Services: first label of the host, signing name, variable that overrides the endpoint.
const SERVICES: [(&str, &str, &str); 5] = [
    ("aps-workspaces", "aps", "AWS_ENDPOINT_URL_AMP"),
    ("xray", "xray", "AWS_ENDPOINT_URL_XRAY"),
    ("logs", "logs", "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"),
    ("monitoring", "monitoring", "AWS_ENDPOINT_URL_CLOUDWATCH"),
    ("sts", "sts", "AWS_ENDPOINT_URL_STS"),
];

/// What a host name tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inferred {
    /// The signing name.
    pub service: Option<&'static str>,
    pub region: Option<String>,
}

/// Reads the service and region off the name of one of AWS's hosts.
pub fn from_host(host: &str) -> Inferred {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let Some(own) = PARTITIONS.iter().find_map(|partition| without_suffix(&host, partition)) else {
        return Inferred::default();
    };
    // vpce-0a1b-xyz.aps-workspaces.eu-west-1.vpce
    let own = own.strip_suffix(".vpce").unwrap_or(own);
    let labels: Vec<&str> = own.split('.').collect();
    let (service, region) = match labels[..] {
        ["sts"] => ("sts", "us-east-1"),
        [name, region, "es"] if name.starts_with("search-") || name.starts_with("vpc-") => {
            return Inferred { service: Some("es"), region: region_of(region) };
        }
        [.., service, region] => (service, region),
        _ => return Inferred::default(),
    };
    let service = service.strip_suffix("-fips").unwrap_or(service);
    let known = SERVICES.iter().find(|(label, ..)| *label == service);
    Inferred { service: known.map(|(_, name, _)| *name), region: region_of(region) }
}

fn without_suffix<'a>(host: &'a str, partition: &Partition) -> Option<&'a str> {
    let strip = |suffix: &str| host.strip_suffix(suffix)?.strip_suffix('.');
    let dual_stack = Some(partition.dual_stack).filter(|suffix| !suffix.is_empty());
    dual_stack.and_then(strip).or_else(|| strip(partition.suffix))
}

/// `eu-west-1`, `us-gov-east-1`: words, and a number at the end.
fn region_of(text: &str) -> Option<String> {
    let (words, number) = text.rsplit_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    let is_region = is_number && words.contains('-') && words.split('-').all(is_word);
    is_region.then(|| text.to_owned())
}

/// Checks a region that was written by hand or found somewhere: it becomes part of a host name.
pub fn check_region(region: &str) -> Result<(), String> {
    let is_label = (1..=63).contains(&region.len())
        && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_label {
        return Ok(());
    }
    Err(format!("region `{}` is not one; expected a name like eu-west-1", region.escape_debug()))
}

/// The region of the setting, the host name, `AWS_REGION` or `AWS_DEFAULT_REGION`.
pub fn known(setting: Option<&str>, host: &str, environment: &Environment) -> Option<String> {
    let from_environment =
        || environment.get("AWS_REGION").or_else(|| environment.get("AWS_DEFAULT_REGION"));
    setting
        .map(str::to_owned)
        .or_else(|| from_host(host).region)
        .or_else(|| from_environment().map(str::to_owned))
}

/// The address of a service: the variables that AWS documents for that, else the region's endpoint.
/// `service` is a signing name.
pub fn endpoint(service: &str, region: &str, environment: &Environment) -> Result<Url, String> {
    let known = SERVICES.iter().find(|(_, name, _)| *name == service);
    let (label, variable) = known.map_or((service, None), |(label, _, own)| (*label, Some(*own)));
    if !environment.is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
        for name in variable.into_iter().chain(["AWS_ENDPOINT_URL"]) {
            if let Some(url) = environment.get(name) {
                return Url::parse(url).map_err(|error| format!("{name}: {error}"));
            }
        }
    }
    check_region(region)?;
    let partition = PARTITIONS.iter().find(|known| region.starts_with(known.region_prefix));
    let (suffix, dual_stack) =
        partition.map_or(("amazonaws.com", ""), |known| (known.suffix, known.dual_stack));
    let is_dual_stack = environment.is_true("AWS_USE_DUALSTACK_ENDPOINT") && !dual_stack.is_empty();
    let suffix = if is_dual_stack { dual_stack } else { suffix };
    let fips = if environment.is_true("AWS_USE_FIPS_ENDPOINT") { "-fips" } else { "" };
    Url::parse(&format!("https://{label}{fips}.{region}.{suffix}/"))
}

/// The region in the answer of the task metadata endpoint's `/task` (ECS, version 4).
pub fn from_task(document: &str) -> Result<String, String> {
    let members = Members::parse(document)?;
    // arn:aws:ecs:eu-west-1:111122223333:task/demo/0a1b2c3d
    let from_arn = members.get("TaskARN").and_then(|arn| arn.split(':').nth(3));
    // eu-west-1a; a local zone's name (us-west-2-lax-1a) begins with a region, too.
    let from_zone = || {
        let zone = members.get("AvailabilityZone")?;
        region_of(zone.trim_end_matches(|letter: char| letter.is_ascii_lowercase()))
            .filter(|region| region.matches('-').count() < 4)
    };
    from_arn
        .and_then(region_of)
        .or_else(from_zone)
        .ok_or_else(|| "neither TaskARN nor AvailabilityZone names a region".to_owned())
}

/// The region in an EC2 instance's identity document.
pub fn from_identity_document(document: &str) -> Result<String, String> {
    let members = Members::parse(document)?;
    let region = members.get("region").ok_or("the identity document has no region")?;
    region_of(region).ok_or_else(|| "the identity document's region is malformed".to_owned())
}

#[cfg(test)]
#[path = "region_tests.rs"]
mod tests;
