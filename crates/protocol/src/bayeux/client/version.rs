//! Protocol versions and how they compare (Bayeux 2.3).

use std::cmp::Ordering;

/// What this client speaks, and the least that it takes.
pub(super) const OURS: &str = "1.0";

/// Whether a version is lower than ours. What does not parse as one says nothing and counts as ours (BX-VER-01).
pub(super) fn is_too_low(version: &str) -> bool {
    is_valid(version) && compare(version, OURS) == Ordering::Less
}

fn is_valid(version: &str) -> bool {
    let mut elements = version.split('.');
    let first = elements.next().unwrap_or_default();
    let alphanumeric = |element: &str| !element.is_empty() && element.bytes().all(|b| b.is_ascii_alphanumeric());
    !first.is_empty() && first.bytes().all(|b| b.is_ascii_digit()) && elements.all(alphanumeric)
}

/// Element by element; of two that agree as far as the shorter one goes the longer one is higher (BX-VER-02).
fn compare(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        match (left.next(), right.next()) {
            (Some(left), Some(right)) => match compare_elements(left, right) {
                Ordering::Equal => {}
                other @ (Ordering::Less | Ordering::Greater) => return other,
            },
            (left, right) => return left.is_some().cmp(&right.is_some()),
        }
    }
}

fn compare_elements(left: &str, right: &str) -> Ordering {
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if is_number(left) && is_number(right) {
        let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
        return left.len().cmp(&right.len()).then_with(|| left.cmp(right));
    }
    left.cmp(right)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1.0", false)]
    #[case("1", true)]
    #[case("0.9", true)]
    #[case("1.0beta", false)]
    #[case("1.0.1", false)]
    #[case("10.0", false)]
    #[case("2", false)]
    #[case("0", true)]
    #[case("", false)]
    #[case("x", false)]
    #[case("0..9", false)]
    #[case("0.9 ", false)]
    fn compares_with_ours(#[case] version: &str, #[case] too_low: bool) {
        assert_eq!(is_too_low(version), too_low, "{version}");
    }

    #[rstest]
    #[case("1.2", "1.10", Ordering::Less)]
    #[case("1.a", "1.b", Ordering::Less)]
    #[case("01.0", "1.00", Ordering::Equal)]
    fn compares_element_by_element(#[case] left: &str, #[case] right: &str, #[case] is: Ordering) {
        assert_eq!(compare(left, right), is);
    }
}
