//! SQL text in every dialect: where a statement ends, and where a template may stand in it.
