//! A tensor in host memory.

use std::fmt;
use std::sync::Arc;

use tract_onnx::prelude::{DatumType, Tensor as HostTensor};

/// What a tensor's elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// 32-bit floating point.
    F32,
    /// 64-bit signed integer.
    I64,
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Element::F32 => "f32",
            Element::I64 => "i64",
        })
    }
}

/// Why a tensor could not be made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// The data does not fill the shape.
    #[error("{values} values do not make a tensor of shape {shape:?}")]
    Shape {
        /// Values given.
        values: usize,
        /// Shape asked for.
        shape: Vec<usize>,
    },
    /// The elements are of the other kind.
    #[error("the tensor's elements are {found}, not {asked}")]
    Element {
        /// What they are.
        found: Element,
        /// What was asked for.
        asked: Element,
    },
    /// The elements are neither f32 nor i64.
    #[error("the tensor's elements are {found}; only f32 and i64 are passed in and out of a graph")]
    UnsupportedElement {
        /// The backend's name of them.
        found: String,
    },
}

/// A dense, row-major tensor in host memory. Cloning shares the memory; writing to a shared tensor
/// copies it first.
///
/// The memory is aligned as tract wants it, so that tract takes and gives tensors without a copy.
#[derive(Clone)]
pub struct Tensor {
    host: Arc<HostTensor>,
    element: Element,
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({}{:?})", self.element, self.shape())
    }
}

impl Tensor {
    /// A tensor of f32 with a copy of `values`.
    pub fn f32(shape: &[usize], values: &[f32]) -> Result<Tensor, TensorError> {
        fits(shape, values.len())?;
        let host = HostTensor::from_shape(shape, values).map_err(|_| TensorError::Shape {
            values: values.len(),
            shape: shape.to_vec(),
        })?;
        Ok(Tensor {
            host: Arc::new(host),
            element: Element::F32,
        })
    }

    /// A tensor of i64 with a copy of `values`.
    pub fn i64(shape: &[usize], values: &[i64]) -> Result<Tensor, TensorError> {
        fits(shape, values.len())?;
        let host = HostTensor::from_shape(shape, values).map_err(|_| TensorError::Shape {
            values: values.len(),
            shape: shape.to_vec(),
        })?;
        Ok(Tensor {
            host: Arc::new(host),
            element: Element::I64,
        })
    }

    /// A tensor of f32 that `fill` writes; it starts as zeros.
    pub fn f32_with(shape: &[usize], fill: impl FnOnce(&mut [f32])) -> Tensor {
        let mut host =
            HostTensor::zero::<f32>(shape).expect("f32 has a zero, and the shape is in memory");
        if let Ok(mut view) = host.try_as_plain_ram_mut() {
            fill(
                view.as_slice_mut::<f32>()
                    .expect("it was made of f32 two lines above"),
            );
        }
        Tensor {
            host: Arc::new(host),
            element: Element::F32,
        }
    }

    /// Its axes' lengths.
    pub fn shape(&self) -> &[usize] {
        self.host.shape()
    }

    /// What its elements are.
    pub fn element(&self) -> Element {
        self.element
    }

    /// Its values, the last axis varying fastest.
    pub fn as_f32(&self) -> Result<&[f32], TensorError> {
        self.values(Element::F32)
    }

    /// Its values, the last axis varying fastest.
    pub fn as_i64(&self) -> Result<&[i64], TensorError> {
        self.values(Element::I64)
    }

    fn values<T: tract_onnx::prelude::Datum>(&self, asked: Element) -> Result<&[T], TensorError> {
        let wrong = TensorError::Element {
            found: self.element,
            asked,
        };
        if self.element != asked {
            return Err(wrong);
        }
        self.host
            .as_plain_ram()
            .and_then(|view| view.as_slice::<T>().ok())
            .ok_or(wrong)
    }

    /// Takes a tensor of tract's over.
    pub(super) fn from_host(host: Arc<HostTensor>) -> Result<Tensor, TensorError> {
        let element = match host.datum_type() {
            DatumType::F32 => Element::F32,
            DatumType::I64 => Element::I64,
            other => {
                return Err(TensorError::UnsupportedElement {
                    found: format!("{other:?}"),
                });
            }
        };
        Ok(Tensor { host, element })
    }

    /// The same memory as tract's tensor.
    pub(super) fn host(&self) -> &Arc<HostTensor> {
        &self.host
    }
}

fn fits(shape: &[usize], values: usize) -> Result<(), TensorError> {
    let wanted = shape
        .iter()
        .try_fold(1_usize, |product, &axis| product.checked_mul(axis));
    if wanted == Some(values) {
        return Ok(());
    }
    Err(TensorError::Shape {
        values,
        shape: shape.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_shape_and_values() {
        let tensor = Tensor::f32(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(tensor.shape(), [2, 3]);
        assert_eq!(tensor.as_f32().unwrap()[4], 5.0);
        assert_eq!(
            tensor.as_i64(),
            Err(TensorError::Element {
                found: Element::F32,
                asked: Element::I64
            })
        );
    }

    #[test]
    fn an_axis_may_be_empty() {
        let tensor = Tensor::f32(&[1, 6, 0, 64], &[]).unwrap();
        assert_eq!(tensor.as_f32().unwrap(), &[] as &[f32]);
        assert_eq!(Tensor::f32_with(&[2, 0], |_| ()).shape(), [2, 0]);
    }

    #[test]
    fn refuses_data_that_does_not_fill_the_shape() {
        assert!(Tensor::i64(&[2, 2], &[1, 2, 3]).is_err());
        assert!(Tensor::i64(&[usize::MAX, 2], &[1, 2, 3]).is_err());
    }
}
