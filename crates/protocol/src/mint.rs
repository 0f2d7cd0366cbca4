//! Ids and keys drawn from a seed. The same seed gives the same ids; nobody may take them for safe outside a test bench.

/// A small generator (SplitMix64), so that a pure crate needs no source of randomness.
#[derive(Clone, Debug)]
pub(crate) struct Mint {
    state: u64,
}

const BASE_36: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const HEX: &[u8] = b"0123456789ABCDEF";
const DIGITS: &[u8] = b"0123456789";
const ALPHANUMERIC: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE_64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Mint {
    /// Starts from a seed; `purpose` keeps two mints with one seed apart.
    pub(crate) const fn new(seed: u64, purpose: u64) -> Self {
        Self { state: seed ^ purpose.wrapping_mul(0xd6e8_feb8_6659_fd93) }
    }

    const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which must not be 0.
    pub(crate) const fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn text(&mut self, alphabet: &[u8], length: usize) -> String {
        let size = alphabet.len() as u64;
        (0..length).map(|_| char::from(alphabet[usize::try_from(self.below(size)).unwrap_or(0)])).collect()
    }

    /// Lower-case letters and digits, as in clientIds and browser cookies.
    pub(crate) fn base_36(&mut self, length: usize) -> String {
        self.text(BASE_36, length)
    }

    /// Upper-case hexadecimal digits, as in `userId`.
    pub(crate) fn hex(&mut self, length: usize) -> String {
        self.text(HEX, length)
    }

    /// Decimal digits, the first one not 0, as in `alias`.
    pub(crate) fn digits(&mut self, length: usize) -> String {
        let first = self.text(&DIGITS[1..], 1);
        first + &self.text(DIGITS, length.saturating_sub(1))
    }

    /// Letters and digits, as in `chatId`.
    pub(crate) fn alphanumeric(&mut self, length: usize) -> String {
        self.text(ALPHANUMERIC, length)
    }

    /// The base64 alphabet with one `=` at the end, as in `secureKey`.
    pub(crate) fn base_64(&mut self, length: usize) -> String {
        self.text(BASE_64, length.saturating_sub(1)) + "="
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids_and_another_purpose_other_ones() {
        let id = |seed, purpose| Mint::new(seed, purpose).base_36(26);
        assert_eq!(id(1, 0), id(1, 0));
        assert_ne!(id(1, 0), id(1, 1));
        assert_ne!(id(1, 0), id(2, 0));
    }
}
