//! What `#[config(…)]` and the doc comments say.

use syn::{Attribute, Expr, ExprLit, ExprUnary, Lit, LitStr, Meta, Path, Token, UnOp, spanned::Spanned};

/// How a field gets its value when the key is not there.
pub(crate) enum Missing {
    /// By its type: `Option` has a value, others are required.
    ByType,
    /// `#[config(default)]`
    Default,
    /// `#[config(default = …)]`
    Literal(Expr),
}

pub(crate) struct Attributes {
    pub(crate) doc: String,
    pub(crate) missing: Missing,
    pub(crate) rename: Option<String>,
    pub(crate) check: Option<Path>,
}

impl Attributes {
    pub(crate) fn read(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut out =
            Attributes { doc: doc(attributes), missing: Missing::ByType, rename: None, check: None };
        for attribute in attributes.iter().filter(|a| a.path().is_ident("config")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("default") {
                    out.missing = if meta.input.peek(Token![=]) {
                        Missing::Literal(literal(meta.value()?.parse()?)?)
                    } else {
                        Missing::Default
                    };
                } else if meta.path.is_ident("rename") {
                    out.rename = Some(meta.value()?.parse::<LitStr>()?.value());
                } else if meta.path.is_ident("check") {
                    out.check = Some(meta.value()?.parse()?);
                } else {
                    return Err(meta.error("expected `default`, `rename` or `check`"));
                }
                Ok(())
            })?;
        }
        Ok(out)
    }
}

/// A literal, possibly negative.
fn literal(expr: Expr) -> syn::Result<Expr> {
    let inner = match &expr {
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => expr,
        other => other,
    };
    match inner {
        Expr::Lit(ExprLit { lit: Lit::Bool(_) | Lit::Int(_) | Lit::Float(_) | Lit::Str(_), .. }) => Ok(expr),
        _ => Err(syn::Error::new(expr.span(), "expected a flag, a number or a text")),
    }
}

/// The doc comment: lines of a paragraph joined, paragraphs and lists kept apart.
fn doc(attributes: &[Attribute]) -> String {
    let mut out = String::new();
    for attribute in attributes.iter().filter(|a| a.path().is_ident("doc")) {
        let Meta::NameValue(pair) = &attribute.meta else { continue };
        let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value else { continue };
        let line = text.value();
        let line = line.strip_prefix(' ').unwrap_or(&line).trim_end();
        if line.is_empty() {
            out.push_str("\n\n");
        } else {
            let starts = out.is_empty() || out.ends_with('\n');
            out.push_str(if starts { "" } else { if line.starts_with("- ") { "\n" } else { " " } });
            out.push_str(line.trim_start());
        }
    }
    out.trim().to_owned()
}
