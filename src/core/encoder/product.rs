//! How is a product cut so that its sums stay in registers?
//!
//! A block is some rows times some columns of one panel. Rows are first put in
//! groups, inner index first, so that the inner loop of a block reads two
//! streams from front to back: the group, and the panel of weights that was
//! packed at load. What happens inside a block is the business of one file per
//! instruction set.

/// Columns of a panel: two vector registers of the widest kind.
pub(super) const PANEL: usize = 32;

/// Half of a panel.
pub(super) const HALF: usize = PANEL / 2;

/// Rows that meet all panels before the next ones: their grouped copy stays in
/// the second-level cache.
const ROWS: usize = 96;

/// Some rows that meet one panel.
pub(super) struct Block<'a, X> {
    /// Their elements, inner index after inner index.
    pub(super) rows: &'a [X],
    /// How many rows.
    pub(super) size: usize,
    /// The number of the first one.
    pub(super) first: usize,
    /// The number of the panel.
    pub(super) panel: usize,
    /// Their rows of the product, whole.
    pub(super) out: &'a mut [f32],
}

/// Cuts the product of rows of `inner` elements into blocks; `size` says how
/// many rows the next one takes when so many are left.
pub(super) fn each_block<X: Copy>(
    rows: &[X],
    inner: usize,
    out: &mut [f32],
    columns: usize,
    size: impl Fn(usize) -> usize,
    mut block: impl FnMut(Block<'_, X>),
) {
    let mut grouped = Vec::with_capacity(rows.len().min(ROWS * inner));
    for (part, (rows, out)) in rows.chunks(ROWS * inner).zip(out.chunks_mut(ROWS * columns)).enumerate() {
        group(rows, inner, &size, &mut grouped);
        for panel in 0..columns.div_ceil(PANEL) {
            let (mut grouped, mut out, mut first) = (grouped.as_slice(), &mut *out, part * ROWS);
            while !grouped.is_empty() {
                let size = size(grouped.len() / inner);
                let (these, others) = grouped.split_at(size * inner);
                let (to, behind) = out.split_at_mut(size * columns);
                block(Block { rows: these, size, first, panel, out: to });
                (grouped, out, first) = (others, behind, first + size);
            }
        }
    }
}

/// Copies rows of `inner` elements into `out`, group after group, in each one
/// inner index after inner index.
fn group<X: Copy>(mut rows: &[X], inner: usize, size: impl Fn(usize) -> usize, out: &mut Vec<X>) {
    out.clear();
    while !rows.is_empty() {
        let size = size(rows.len() / inner);
        let (these, others) = rows.split_at(size * inner);
        for index in 0..inner {
            out.extend((0..size).map(|row| these[row * inner + index]));
        }
        rows = others;
    }
}

/// The next block of processors whose registers hold the sums of six rows and
/// half a panel: at most six rows, and the blocks of about one size. A small
/// one leaves half of the processor waiting for its sums.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) fn up_to_six(rows: usize) -> usize {
    rows.div_ceil(rows.div_ceil(6))
}

/// How many halves of a panel have columns.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) fn halves(panel: usize, columns: usize) -> usize {
    (columns - panel * PANEL).div_ceil(HALF).min(2)
}

/// Calls the function of a block of up to six rows with its number of rows as a constant.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! by_size {
    ($function:ident, $block:ident, $($argument:expr),*) => {
        match $block.size {
            6 => $function::<6>($block, $($argument),*),
            5 => $function::<5>($block, $($argument),*),
            4 => $function::<4>($block, $($argument),*),
            3 => $function::<3>($block, $($argument),*),
            2 => $function::<2>($block, $($argument),*),
            _ => $function::<1>($block, $($argument),*),
        }
    };
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) use by_size;

/// Writes a part of a row from `at` on; less where the row ends within it.
#[inline(always)]
pub(super) fn write<const N: usize>(row: &mut [f32], at: usize, line: &[f32; N]) {
    let to = &mut row[at..];
    match to.split_first_chunk_mut::<N>() {
        Some((to, _)) => to.copy_from_slice(line),
        None => to.iter_mut().zip(line).for_each(|(to, x)| *to = *x),
    }
}

/// Puts a row-major `[inner, columns]` matrix in panels of [`PANEL`] columns,
/// `unit` inner indices one beside the other for every column: the weights of
/// one instruction are neighbours, and a product reads all of them once, in
/// order. Filled up with zeros in both directions.
pub(super) fn pack<X: Copy + Default>(matrix: &[X], columns: usize, unit: usize) -> Vec<X> {
    let units = (matrix.len() / columns).div_ceil(unit);
    let mut packed = vec![X::default(); columns.div_ceil(PANEL) * units * unit * PANEL];
    for (index, row) in matrix.chunks_exact(columns).enumerate() {
        for (column, weight) in row.iter().enumerate() {
            let place = column / PANEL * units + index / unit;
            packed[(place * PANEL + column % PANEL) * unit + index % unit] = *weight;
        }
    }
    packed
}
