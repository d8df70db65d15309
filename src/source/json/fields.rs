//! Which column comes from where in an element.

use super::{
    node::Node,
    path::{Path, Reach},
};
use crate::model::Problem;
use serde::Deserialize;
use std::collections::BTreeMap;

/// One entry of the table `fields`: a path, or a path with a separator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum FieldSpec {
    Path(String),
    Joined { path: String, join: String },
}

/// Column ← path, for every column. In the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldMap {
    fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) column: String,
    path: Path,
    /// What stands between the values where there may be several.
    join: Option<String>,
}

/// Why what is there is no cell. Names what it is, never its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CellProblem {
    #[error("{0} stands where a text is due")]
    NotText(&'static str),
    #[error("the path meets something of another kind than it says")]
    Misfit,
    #[error("a value holds the separator that joins the values")]
    HoldsSeparator,
}

impl FieldMap {
    /// # Errors
    /// Everything that is wrong, by column.
    pub fn parse(fields: &BTreeMap<String, FieldSpec>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut parsed = Vec::new();
        for (column, spec) in fields {
            match Field::parse(column, spec) {
                Ok(field) => parsed.push(field),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(Self { fields: parsed }) } else { Err(problems) }
    }

    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.column.as_str())
    }

    pub(super) fn fields(&self) -> &[Field] {
        &self.fields
    }
}

impl Field {
    fn parse(column: &str, spec: &FieldSpec) -> Result<Self, Problem> {
        let problem = |why: String| Problem::new(format!("fields.{column}"), why);
        if column.is_empty() || column.chars().any(char::is_control) {
            return Err(problem("is no name for a column".to_owned()));
        }
        let (text, join) = match spec {
            FieldSpec::Path(path) => (path, None),
            FieldSpec::Joined { path, join } => (path, Some(join.clone())),
        };
        let path = Path::parse(text).map_err(|error| problem(error.to_string()))?;
        match &join {
            None if path.is_many() => Err(problem("leads to several values".to_owned())
                .hint(r#"join them: { path = "…", join = ";" }, or take one: `[0]`"#)),
            Some(_) if !path.is_many() && !path.is_filtered() => {
                Err(problem("joins what is one value".to_owned())
                    .hint("name all elements: `[*]`, or leave `join` away"))
            }
            Some(join) if join.is_empty() => {
                Err(problem("joins values with nothing between them".to_owned())
                    .hint(r#"write join = ";""#))
            }
            _ => Ok(Self { column: column.to_owned(), path, join }),
        }
    }

    /// Appends the cell. Whether the element has what the path leads to: a null has been said, and
    /// means an empty cell.
    pub(super) fn cell(&self, element: &Node, cell: &mut String) -> Result<bool, CellProblem> {
        let mut problem = None;
        let mut count = 0;
        let mut take = |node: &Node| {
            let Some(text) = node.text() else {
                problem = Some(CellProblem::NotText(node.kind()));
                return;
            };
            match &self.join {
                Some(_) if text.is_empty() => return,
                Some(join) if text.contains(join.as_str()) => {
                    problem = Some(CellProblem::HoldsSeparator);
                }
                Some(join) if count > 0 => cell.push_str(join),
                Some(_) | None => {}
            }
            cell.push_str(text);
            count += 1;
        };
        let reach = self.path.follow(element, self.join.is_none(), &mut take);
        match (problem, reach) {
            (Some(problem), _) => Err(problem),
            (None, Reach::Misfit) => Err(CellProblem::Misfit),
            (None, Reach::There) => Ok(true),
            (None, Reach::Missing) => Ok(false),
        }
    }
}
