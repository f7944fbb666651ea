//! The variables that AWS puts into a container or documents for its SDKs, read once at the start.
//!
//! Which of them means what is written where it is used. An empty variable counts as unset.

use std::fmt;

/// All that is read.
const NAMES: [&str; 29] = [
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_REGION",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    "AWS_EC2_METADATA_V1_DISABLED",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_AMP",
    "AWS_ENDPOINT_URL_CLOUDWATCH",
    "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_XRAY",
    "AWS_EXECUTION_ENV",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "ECS_CONTAINER_METADATA_URI_V4",
];

/// The variables found.
#[derive(Clone, Default)]
pub struct Environment(Vec<(&'static str, String)>);

impl Environment {
    /// Reads all of them through `get`.
    pub fn capture(get: &dyn Fn(&str) -> Option<String>) -> Environment {
        let value = |name| get(name).filter(|value| !value.is_empty());
        Environment(NAMES.iter().filter_map(|&name| Some((name, value(name)?))).collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        debug_assert!(NAMES.contains(&name), "{name}");
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a switch is on.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Whether this is Fargate, which has no instance metadata.
    pub fn is_fargate(&self) -> bool {
        self.get("AWS_EXECUTION_ENV") == Some("AWS_ECS_FARGATE")
    }

    /// Whether an EC2 instance's metadata may be asked.
    pub fn may_have_imds(&self) -> bool {
        !self.is_fargate() && !self.is_true("AWS_EC2_METADATA_DISABLED")
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_map().entries(self.0.iter().map(|(name, _)| (name, "***"))).finish()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An environment of these variables alone.
    pub(crate) fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::capture(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_are_captured_and_never_shown() {
        let environment = environment(&[
            ("AWS_SECRET_ACCESS_KEY", "s3cret"),
            ("AWS_REGION", ""),
            ("AWS_EC2_METADATA_DISABLED", "TRUE"),
            ("PATH", "/bin"),
        ]);
        assert_eq!(environment.get("AWS_SECRET_ACCESS_KEY"), Some("s3cret"));
        assert_eq!(environment.get("AWS_REGION"), None);
        assert!(!environment.may_have_imds() && !environment.is_fargate());
        assert_eq!(
            format!("{environment:?}"),
            r#"{"AWS_EC2_METADATA_DISABLED": "***", "AWS_SECRET_ACCESS_KEY": "***"}"#
        );
    }
}
