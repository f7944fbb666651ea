//! The text of single elements in the answers of STS (Query protocol, XML 1.0).
//!
//! Nothing more: elements are found by name anywhere in the document, and must hold text alone.
//! Left out: attributes of the elements read, namespaces, CDATA, comments, which STS does not send
//! there.

/// The text of the first element of this name, references resolved; None where there is none,
/// where it is not ended, or where it holds anything but text.
pub fn text_of(document: &str, name: &str) -> Option<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let (_, rest) = document.split_once(&open)?;
    let (text, _) = rest.split_once(&close)?;
    if text.contains('<') {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split('&');
    out.push_str(parts.next()?);
    for part in parts {
        let (reference, rest) = part.split_once(';')?;
        out.push(resolve(reference)?);
        out.push_str(rest);
    }
    Some(out)
}

/// XML 1.0 §4.6 and §4.1.
fn resolve(reference: &str) -> Option<char> {
    Some(match reference {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        number => {
            let number = number.strip_prefix('#')?;
            let (digits, radix) = match number.strip_prefix('x') {
                Some(hexadecimal) => (hexadecimal, 16),
                None => (number, 10),
            };
            let is_number = digits.chars().all(|digit| digit.is_digit(radix));
            char::from_u32(u32::from_str_radix(digits, radix).ok().filter(|_| is_number)?)?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements() {
        for (document, expected) in [
            ("<r><A>x</A></r>", Some("x")),
            ("<A></A>", Some("")),
            ("<A>x</A><A>y</A>", Some("x")),
            ("<A>a&lt;&gt;&amp;&quot;&apos;&#233;&#xE9;é</A>", Some("a<>&\"'ééé")),
            ("<A>&amp;lt;</A>", Some("&lt;")),
            ("", None),
            ("<A>x", None),
            ("<A>x</A", None),
            ("<A><B>x</B></A>", None),
            ("<A>&nbsp;</A>", None),
            ("<A>&amp</A>", None),
            ("<A>&#;</A>", None),
            ("<A>&#+65;</A>", None),
            ("<A>&#xD800;</A>", None),
            ("<A>&#99999999999;</A>", None),
            ("<AA>x</AA>", None),
        ] {
            assert_eq!(text_of(document, "A").as_deref(), expected, "{document}");
        }
    }
}
