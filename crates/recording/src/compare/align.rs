//! Which message of one tape is held against which of the other.

use super::canonical::Item;

/// Above this many cells a table is not filled, and items are paired in order instead.
const CELLS: usize = 16_000_000;

/// Above this many cells the likeness of items is not computed.
const LIKENESS_CELLS: usize = 40_000;

/// How alike two messages must be to be coupled across others, out of 101.
const COUPLED: u64 = 70;

/// Pairs of positions in `a` and `b`, in order; each position stands in exactly one pair.
pub(super) fn align(a: &[Item], b: &[Item]) -> Vec<(Option<usize>, Option<usize>)> {
    let start = a.iter().zip(b).take_while(|(a, b)| a.shape == b.shape).count();
    let (rest_a, rest_b) = (&a[start..], &b[start..]);
    let end = rest_a.iter().rev().zip(rest_b.iter().rev()).take_while(|(a, b)| a.shape == b.shape).count();
    let (mid_a, mid_b) = (&rest_a[..rest_a.len() - end], &rest_b[..rest_b.len() - end]);

    let mut pairs: Vec<_> = (0..start).map(|at| (Some(at), Some(at))).collect();
    let equal = |a: &Item, b: &Item| u64::from(a.shape == b.shape);
    let mut from = (0, 0);
    let anchors = best(mid_a, mid_b, CELLS, &equal);
    for (at_a, at_b) in anchors.into_iter().chain([(mid_a.len(), mid_b.len())]) {
        gap(&mut pairs, (mid_a, from.0..at_a), (mid_b, from.1..at_b), start);
        if at_a < mid_a.len() {
            pairs.push((Some(start + at_a), Some(start + at_b)));
        }
        from = (at_a + 1, at_b + 1);
    }
    pairs.extend((0..end).map(|at| (Some(a.len() - end + at), Some(b.len() - end + at))));
    pairs
}

/// Couples what stands alone on both sides: one message whose change moved it, such as an event with another index. Equal
/// messages are not coupled, since then it is the order that differs.
pub(super) fn couple(
    mut pairs: Vec<(Option<usize>, Option<usize>)>,
    a: &[Item],
    b: &[Item],
) -> Vec<(Option<usize>, Option<usize>)> {
    let mut added: Vec<usize> = pairs.iter().filter(|(a, _)| a.is_none()).filter_map(|(_, b)| *b).collect();
    let missing = pairs.iter().filter(|(_, b)| b.is_none()).count();
    if added.len().saturating_mul(missing) > LIKENESS_CELLS {
        return pairs;
    }
    for pair in &mut pairs {
        let (Some(at_a), None) = *pair else { continue };
        let alike = added.iter().map(|at_b| (likeness(&a[at_a], &b[*at_b]), *at_b));
        let Some((score, at_b)) = alike.max_by_key(|(score, at_b)| (*score, std::cmp::Reverse(*at_b))) else {
            continue;
        };
        if score >= COUPLED && a[at_a].shape != b[at_b].shape {
            *pair = (Some(at_a), Some(at_b));
            added.retain(|at| *at != at_b);
        }
    }
    let coupled: Vec<usize> = pairs.iter().filter(|(a, _)| a.is_some()).filter_map(|(_, b)| *b).collect();
    pairs.retain(|(a, b)| a.is_some() || b.is_none_or(|b| !coupled.contains(&b)));
    pairs
}

type Slice<'a> = (&'a [Item], std::ops::Range<usize>);

/// Pairs what is not equal but of the same label, the most alike with each other.
fn gap(pairs: &mut Vec<(Option<usize>, Option<usize>)>, a: Slice<'_>, b: Slice<'_>, start: usize) {
    let (items_a, items_b) = (&a.0[a.1.clone()], &b.0[b.1.clone()]);
    let (mut at_a, mut at_b) = (0, 0);
    let offset = |at: usize, range: &std::ops::Range<usize>| Some(start + range.start + at);
    for (next_a, next_b) in
        best(items_a, items_b, LIKENESS_CELLS, &likeness).into_iter().chain([(items_a.len(), items_b.len())])
    {
        pairs.extend((at_a..next_a).map(|at| (offset(at, &a.1), None)));
        pairs.extend((at_b..next_b).map(|at| (None, offset(at, &b.1))));
        if next_a < items_a.len() {
            pairs.push((offset(next_a, &a.1), offset(next_b, &b.1)));
        }
        (at_a, at_b) = (next_a + 1, next_b + 1);
    }
}

/// The pairs of positions, both rising, whose scores add up to the most; 0 means that two items do not pair.
fn best(a: &[Item], b: &[Item], cells: usize, score: &dyn Fn(&Item, &Item) -> u64) -> Vec<(usize, usize)> {
    let width = b.len() + 1;
    if a.len().saturating_mul(b.len()) > cells {
        return (0..a.len().min(b.len())).filter(|at| score(&a[*at], &b[*at]) > 0).map(|at| (at, at)).collect();
    }
    let mut table = vec![0_u64; (a.len() + 1) * width];
    let mut scores = vec![0_u64; a.len() * b.len()];
    for at_a in (0..a.len()).rev() {
        for at_b in (0..b.len()).rev() {
            let pair = score(&a[at_a], &b[at_b]);
            scores[at_a * b.len() + at_b] = pair;
            let paired = if pair > 0 { pair + table[(at_a + 1) * width + at_b + 1] } else { 0 };
            table[at_a * width + at_b] =
                paired.max(table[(at_a + 1) * width + at_b]).max(table[at_a * width + at_b + 1]);
        }
    }
    let (mut at_a, mut at_b, mut pairs) = (0, 0, Vec::new());
    while at_a < a.len() && at_b < b.len() {
        let here = table[at_a * width + at_b];
        let pair = scores[at_a * b.len() + at_b];
        if pair > 0 && here == pair + table[(at_a + 1) * width + at_b + 1] {
            pairs.push((at_a, at_b));
            (at_a, at_b) = (at_a + 1, at_b + 1);
        } else if here == table[(at_a + 1) * width + at_b] {
            at_a += 1;
        } else {
            at_b += 1;
        }
    }
    pairs
}

/// How alike two items of one label are: 1 for the label, and up to 100 for what agrees in their texts.
fn likeness(a: &Item, b: &Item) -> u64 {
    if a.label != b.label {
        return 0;
    }
    let (leaves_a, leaves_b) = (leaves(&a.shape), leaves(&b.shape));
    let common = leaves_a.iter().filter(|leaf| leaves_b.contains(leaf)).count();
    let most = leaves_a.len().max(leaves_b.len()).max(1);
    1 + 100 * common as u64 / most as u64
}

/// The text cut into members, roughly; enough to see how alike two messages are.
fn leaves(shape: &str) -> Vec<&str> {
    shape.split([',', '{', '}', '[', ']']).filter(|leaf| !leaf.is_empty()).collect()
}
