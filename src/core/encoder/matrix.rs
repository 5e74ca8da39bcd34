//! How are many vectors kept?

use std::path::Path;

use candle_core::safetensors::SliceSafetensors;
use candle_core::{DType, Device, Tensor};

use super::{Embedding, kernels};
use crate::error::{Error, Result};

/// The name of the one tensor in a file.
const TENSOR: &str = "vectors";

/// Many unit vectors in one block of memory, 8 bits a coordinate: reading them
/// is what a scan takes its time for, and a cosine with 256 coordinates of 8
/// bits is off by 0.0005 in the standard deviation.
///
/// A row holds whole numbers that point where the vector points, the largest
/// one 127 or -127.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matrix {
    width: usize,
    values: Vec<i8>,
    /// By row, one over its length; 0 for the zero vector.
    scales: Vec<f32>,
}

/// A vector in whole numbers, to be compared with the rows of a [`Matrix`].
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    values: Vec<i16>,
    /// Whole numbers per unit of length; 0 for the zero vector.
    per_unit: f32,
}

impl Matrix {
    /// Stacks vectors, all of `width` coordinates.
    pub fn new(width: usize, vectors: &[Embedding]) -> Self {
        let mut matrix = Self {
            width,
            values: Vec::with_capacity(width * vectors.len()),
            scales: Vec::with_capacity(vectors.len()),
        };
        for (row, vector) in vectors.iter().enumerate() {
            matrix.put(row, vector);
        }
        matrix
    }

    /// The number of vectors.
    pub fn len(&self) -> usize {
        self.scales.len()
    }

    /// The number of coordinates of each.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.scales.is_empty()
    }

    /// One vector, of unit length. Put into another matrix it gives the same row.
    pub fn row(&self, index: usize) -> Embedding {
        let values = &self.values[index * self.width..(index + 1) * self.width];
        Embedding(values.iter().map(|&value| f32::from(value) * self.scales[index]).collect())
    }

    /// Overwrites a row, or adds the next one.
    pub fn put(&mut self, row: usize, vector: &Embedding) {
        let coordinates = vector.as_slice();
        self.width = coordinates.len();
        let values = whole(coordinates, per_unit(coordinates, 127.0)).map(|value| value as i8);
        let start = row * self.width;
        if start == self.values.len() {
            self.values.extend(values);
            self.scales.push(0.0);
        } else {
            self.values[start..start + self.width].iter_mut().zip(values).for_each(|(old, new)| *old = new);
        }
        self.scales[row] = scale(&self.values[start..start + self.width]);
    }

    /// A vector in the form in which it is compared with rows.
    pub fn question(vector: &Embedding) -> Question {
        /// Coordinates of the question are whole numbers up to this one. The
        /// sum over a row cannot leave 32 bits below 16,000 coordinates.
        const FINE: f32 = 1023.0;
        let coordinates = vector.as_slice();
        let per_unit = per_unit(coordinates, FINE);
        Question { values: whole(coordinates, per_unit).map(|value| value as i16).collect(), per_unit }
    }

    /// A row in the same form.
    pub fn row_as_question(&self, row: usize) -> Question {
        let values = &self.values[row * self.width..(row + 1) * self.width];
        let per_unit = if self.scales[row] > 0.0 { 1.0 / self.scales[row] } else { 0.0 };
        Question { values: values.iter().map(|&value| i16::from(value)).collect(), per_unit }
    }

    /// The cosines of a question with every row, in the order of the rows.
    pub fn cosines(&self, question: &Question, out: &mut Vec<f32>) {
        out.clear();
        if self.is_empty() || question.per_unit == 0.0 {
            out.resize(self.len(), 0.0);
            return;
        }
        let mut sums = Vec::with_capacity(self.len());
        kernels::whole_dots(&self.values, &question.values, &mut sums);
        out.extend(sums.iter().zip(&self.scales).map(|(&sum, scale)| sum as f32 * scale / question.per_unit));
    }

    /// The same with some of the rows, in their order.
    pub fn cosines_of(&self, rows: &[u32], question: &Question, out: &mut Vec<f32>) {
        out.clear();
        if question.per_unit == 0.0 {
            out.resize(rows.len(), 0.0);
            return;
        }
        let mut sums = Vec::with_capacity(rows.len());
        kernels::whole_dots_of(&self.values, rows, &question.values, &mut sums);
        let scales = rows.iter().map(|&row| self.scales[row as usize]);
        out.extend(sums.iter().zip(scales).map(|(&sum, scale)| sum as f32 * scale / question.per_unit));
    }

    /// Writes the matrix as one safetensors file: bytes, two's complement.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let bytes: Vec<u8> = self.values.iter().map(|value| value.cast_unsigned()).collect();
        let tensor = Tensor::from_vec(bytes, (self.len(), self.width), &Device::Cpu)
            .map_err(|e| Error::internal("vectors", e))?;
        let file = [(TENSOR.to_owned(), tensor)].into_iter().collect();
        candle_core::safetensors::save(&file, path)
            .map_err(|e| Error::io("write", path, std::io::Error::other(e.to_string())))
    }

    /// Reads what [`Self::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Release`] naming the file, when it is none of these.
    pub fn open(path: &Path) -> Result<Self> {
        let wrong = |e: candle_core::Error| Error::release(path, format!("the vectors cannot be read: {e}"));
        let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
        let file = SliceSafetensors::new(&bytes).map_err(wrong)?;
        let tensor =
            file.get(TENSOR).ok().filter(|tensor| DType::try_from(tensor.dtype()).ok() == Some(DType::U8));
        let tensor =
            tensor.ok_or_else(|| Error::release(path, format!("holds no tensor {TENSOR:?} of bytes")))?;
        let &[_, width] = tensor.shape() else {
            return Err(Error::release(path, format!("holds a tensor of the shape {:?}", tensor.shape())));
        };
        let values: Vec<i8> = tensor.data().iter().map(|&byte| byte.cast_signed()).collect();
        let scales = values.chunks_exact(width.max(1)).map(scale).collect();
        Ok(Self { width, values, scales })
    }
}

/// What coordinates are multiplied with so that the largest is `most` or
/// `-most`; 0 for the zero vector.
fn per_unit(coordinates: &[f32], most: f32) -> f32 {
    let largest = coordinates.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    if largest > 0.0 { most / largest } else { 0.0 }
}

fn whole(coordinates: &[f32], per_unit: f32) -> impl Iterator<Item = f32> {
    coordinates.iter().map(move |x| (x * per_unit).round())
}

/// One over the length of a row.
fn scale(values: &[i8]) -> f32 {
    let square: i64 = values.iter().map(|&value| i64::from(value) * i64::from(value)).sum();
    if square > 0 { 1.0 / (square as f32).sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors with coordinates of all sizes, by a small linear congruence.
    fn vectors(count: usize, width: usize) -> Vec<Embedding> {
        let mut state = 7u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        (0..count).map(|_| Embedding::unit((0..width).map(|_| next().powi(3)).collect())).collect()
    }

    #[test]
    fn cosines_are_off_by_little() {
        for width in [1, 31, 256, 1024] {
            let vectors = vectors(50, width);
            let matrix = Matrix::new(width, &vectors[1..]);
            let mut cosines = Vec::new();
            matrix.cosines(&Matrix::question(&vectors[0]), &mut cosines);
            assert_eq!(cosines.len(), 49);
            for (cosine, vector) in cosines.iter().zip(&vectors[1..]) {
                let exact = vectors[0].cosine(vector);
                assert!((cosine - exact).abs() < 0.01, "{width}: {cosine} for {exact}");
            }
            let (some, mut again) = ([48, 3, 3, 0, 17, 30], Vec::new());
            matrix.cosines_of(&some, &Matrix::question(&vectors[0]), &mut again);
            assert_eq!(again, some.map(|row| cosines[row as usize]), "{width}");
            // A row is compared as what it stands for.
            matrix.cosines_of(&some, &matrix.row_as_question(3), &mut again);
            assert!((again[1] - 1.0).abs() < 1e-5, "{width}: {}", again[1]);
        }
    }

    #[test]
    fn a_row_that_is_taken_over_stays_what_it_is() {
        let mut matrix = Matrix::new(256, &vectors(20, 256));
        let rows: Vec<Embedding> = (0..20).map(|row| matrix.row(row)).collect();
        assert!(rows.iter().all(|row| (row.cosine(row) - 1.0).abs() < 1e-5));
        assert_eq!(Matrix::new(256, &rows), matrix);
        let file = tempfile::tempdir().unwrap();
        let path = file.path().join("vectors.safetensors");
        matrix.save(&path).unwrap();
        assert_eq!(Matrix::open(&path).unwrap(), matrix);
        matrix.put(3, &rows[5]);
        assert_eq!(matrix.row(3), rows[5]);
        assert_eq!(matrix.len(), 20);
    }

    #[test]
    fn the_zero_vector_is_near_nothing() {
        let zero = Embedding::unit(vec![0.0; 8]);
        let matrix = Matrix::new(8, &[zero.clone(), Embedding::unit(vec![1.0; 8])]);
        let mut cosines = Vec::new();
        matrix.cosines(&Matrix::question(&Embedding::unit(vec![1.0; 8])), &mut cosines);
        assert_eq!(cosines[0], 0.0);
        assert!((cosines[1] - 1.0).abs() < 1e-3);
        matrix.cosines(&Matrix::question(&zero), &mut cosines);
        assert_eq!(cosines, [0.0, 0.0]);
    }
}
