//! `auth.encoded`: the user and the password of a service behind basic authentication.

use crate::secret::Secret;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The base64 of `user:password`.
#[must_use]
pub fn encode(user_and_password: &Secret) -> Secret {
    let mut text = String::new();
    for chunk in user_and_password.expose().as_bytes().chunks(3) {
        let byte = |place: usize| u32::from(chunk.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_as_rfc_4648_shows() {
        let pairs = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("u:p", "dTpw")];
        for (plain, encoded) in pairs {
            assert_eq!(encode(&Secret::new(plain)), Secret::new(encoded), "{plain}");
        }
        assert_eq!(encode(&Secret::new("\u{e9}\u{3bf}~")), Secret::new("w6nOv34="));
    }
}
