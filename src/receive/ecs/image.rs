//! Image references (OCI Distribution Specification, "Pulling manifests"; Docker's reference
//! grammar): `registry:port/path:tag@digest`. Left out: checking that each part is well formed.

/// The repository with its registry, and the tag; a reference without a tag has none, not `latest`.
pub fn name_and_tag(image: &str) -> (&str, Option<&str>) {
    // registry.example:5000/shop/app:1.2@sha256:0a1b
    //                               ^ the last colon after the last slash, before the digest
    let named = image.split_once('@').map_or(image, |(named, _)| named);
    let path_at = named.rfind('/').map_or(0, |at| at + 1);
    match named[path_at..].split_once(':') {
        Some((last, tag)) => {
            (&named[..path_at + last.len()], Some(tag).filter(|tag| !tag.is_empty()))
        }
        None => (named, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        for (image, name, tag) in [
            ("busybox", "busybox", None),
            ("busybox:1.36", "busybox", Some("1.36")),
            ("registry.example:5000/shop/app", "registry.example:5000/shop/app", None),
            ("registry.example:5000/shop/app:1.2", "registry.example:5000/shop/app", Some("1.2")),
            ("app@sha256:0a1b", "app", None),
            ("app:1@sha256:0a1b", "app", Some("1")),
            ("app:", "app", None),
            ("", "", None),
            ("/", "/", None),
            ("@:", "", None),
        ] {
            assert_eq!(name_and_tag(image), (name, tag), "{image}");
        }
    }
}
