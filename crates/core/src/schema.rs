//! JSON Schema of the config, put together from the types that read it.

use crate::{Map, Value};

/// A JSON Schema (2020-12) as a value.
pub type Schema = Value;

/// Named schemas that others point to with `$ref`.
#[derive(Debug, Default)]
pub struct Definitions {
    pub map: Map,
}

impl Definitions {
    /// A reference to the definition `name`, which `make` gives when it is not there yet.
    pub fn reference(&mut self, name: &str, make: impl FnOnce(&mut Self) -> Schema) -> Schema {
        if !self.map.contains_key(name) {
            // Reserve the name first: a type may contain itself.
            self.map.insert(name.into(), Value::Bool(true));
            let schema = make(self);
            self.map.insert(name.into(), schema);
        }
        Value::from([("$ref", format!("#/$defs/{name}"))])
    }

    /// The property `name` of the struct that `schema` is, or refers to.
    pub fn property(&self, schema: &Schema, name: &str) -> Option<Schema> {
        let referred =
            schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/"));
        let whole = referred.and_then(|name| self.map.get(name)).unwrap_or(schema);
        whole.get("properties")?.get(name).cloned()
    }
}
