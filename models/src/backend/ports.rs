//! What a graph takes and gives, and whether what it is given fits.

use std::fmt;

use super::{Element, RunError, Tensor};

/// The length of an axis as a graph declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Axis {
    /// Always this long.
    Fixed(usize),
    /// As long as every other axis of this name in the same run.
    Named(String),
    /// Any length: the graph does not say, or says it by a formula.
    Any,
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Axis::Fixed(length) => write!(f, "{length}"),
            Axis::Named(name) => f.write_str(name),
            Axis::Any => f.write_str("?"),
        }
    }
}

/// An input or an output of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name in the file.
    pub name: String,
    /// What its elements are; `None` for an output of another kind, or one that does not say.
    pub element: Option<Element>,
    /// Its axes; `None` when the file does not say.
    pub axes: Option<Vec<Axis>>,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(axes) = &self.axes {
            let axes: Vec<String> = axes.iter().map(Axis::to_string).collect();
            write!(f, "[{}]", axes.join(","))?;
        }
        match self.element {
            Some(element) => write!(f, " of {element}"),
            None => Ok(()),
        }
    }
}

/// Picks each port's tensor out of `given`, in the ports' order, and checks kinds and lengths.
///
/// `resolve` gives the position in `ports` of a name. Costs nothing beside a run.
pub(super) fn bind<'a>(
    ports: &[Port],
    given: &'a [(&str, Tensor)],
) -> Result<Vec<&'a Tensor>, RunError> {
    if let Some((name, _)) = given
        .iter()
        .find(|(name, _)| !ports.iter().any(|port| port.name == *name))
    {
        return Err(RunError::UnknownInput {
            name: (*name).to_owned(),
            inputs: names(ports),
        });
    }
    let mut lengths: Vec<(&str, usize)> = Vec::new();
    let mut bound = Vec::with_capacity(ports.len());
    for (position, port) in ports.iter().enumerate() {
        // Callers usually give inputs in the graph's order.
        let tensor = match given.get(position) {
            Some((name, tensor)) if *name == port.name => Some(tensor),
            _ => given
                .iter()
                .find(|(name, _)| *name == port.name)
                .map(|(_, tensor)| tensor),
        };
        let Some(tensor) = tensor else {
            return Err(RunError::MissingInput {
                name: port.name.clone(),
            });
        };
        check(port, tensor, &mut lengths)?;
        bound.push(tensor);
    }
    Ok(bound)
}

fn check<'p>(
    port: &'p Port,
    tensor: &Tensor,
    lengths: &mut Vec<(&'p str, usize)>,
) -> Result<(), RunError> {
    let wrong = || RunError::WrongInput {
        expected: port.to_string(),
        found: format!("{:?} of {}", tensor.shape(), tensor.element()),
    };
    if port
        .element
        .is_some_and(|element| element != tensor.element())
    {
        return Err(wrong());
    }
    let Some(axes) = &port.axes else {
        return Ok(());
    };
    if axes.len() != tensor.shape().len() {
        return Err(wrong());
    }
    for (axis, &length) in axes.iter().zip(tensor.shape()) {
        match axis {
            Axis::Fixed(fixed) if *fixed != length => return Err(wrong()),
            Axis::Fixed(_) | Axis::Any => {}
            Axis::Named(name) => match lengths.iter().find(|(known, _)| known == name) {
                Some((_, known)) if *known != length => {
                    return Err(RunError::AxisMismatch {
                        input: port.name.clone(),
                        axis: name.clone(),
                        length,
                        before: *known,
                    });
                }
                Some(_) => {}
                None => lengths.push((name, length)),
            },
        }
    }
    Ok(())
}

fn names(ports: &[Port]) -> String {
    let names: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str, axes: &[Axis]) -> Port {
        Port {
            name: name.into(),
            element: Some(Element::F32),
            axes: Some(axes.to_vec()),
        }
    }

    fn zeros(shape: &[usize]) -> Tensor {
        Tensor::f32_with(shape, |_| ())
    }

    #[test]
    fn finds_inputs_whatever_their_order() {
        let batch = Axis::Named("B".into());
        let ports = [
            port("a", std::slice::from_ref(&batch)),
            port("b", &[batch.clone(), Axis::Fixed(2)]),
        ];
        let given = [("b", zeros(&[3, 2])), ("a", zeros(&[3]))];
        let bound = bind(&ports, &given).unwrap();
        assert_eq!(bound[0].shape(), [3]);
        assert_eq!(bound[1].shape(), [3, 2]);
    }

    #[test]
    fn names_what_is_missing_unknown_or_wrong() {
        let ports = [
            port("a", &[Axis::Named("B".into())]),
            port("b", &[Axis::Named("B".into())]),
        ];
        let missing = bind(&ports, &[("a", zeros(&[3]))]).unwrap_err();
        assert!(missing.to_string().contains("`b`"), "{missing}");
        let unknown = bind(&ports, &[("mel", zeros(&[3]))]).unwrap_err();
        assert!(unknown.to_string().contains("`mel`"), "{unknown}");
        let mismatch = bind(&ports, &[("a", zeros(&[3])), ("b", zeros(&[4]))]).unwrap_err();
        assert!(matches!(
            mismatch,
            RunError::AxisMismatch {
                length: 4,
                before: 3,
                ..
            }
        ));
        let ids = Tensor::i64(&[3], &[0; 3]).unwrap();
        let kind = bind(&ports, &[("a", zeros(&[3])), ("b", ids)]).unwrap_err();
        assert!(matches!(kind, RunError::WrongInput { .. }));
    }
}
