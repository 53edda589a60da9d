//! The code that the derive writes. It holds no logic: `renkei_core::read` has it.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Data, DataEnum, DeriveInput, Expr, ExprLit, ExprUnary, Fields, FieldsNamed, Lit, Type, spanned::Spanned,
};

use crate::attributes::{Attributes, Missing};

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    if !input.generics.params.is_empty() {
        return Err(syn::Error::new(input.generics.span(), "FromNode cannot be derived for generic types"));
    }
    let attributes = Attributes::read(&input.attrs)?;
    let (from_node, schema) = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => structure(fields, &attributes)?,
            other => return Err(syn::Error::new(other.span(), "FromNode wants named fields")),
        },
        Data::Enum(data) => enumeration(data, &attributes)?,
        Data::Union(data) => return Err(syn::Error::new(data.union_token.span, "FromNode wants no union")),
    };
    let name = &input.ident;
    let text = name.to_string();
    Ok(quote! {
        #[automatically_derived]
        impl ::renkei_core::FromNode for #name {
            fn from_node(
                node: &::renkei_core::Node,
                d: &mut ::renkei_core::Diagnostics,
            ) -> ::core::option::Option<Self> {
                #from_node
            }

            fn schema(defs: &mut ::renkei_core::Definitions) -> ::renkei_core::Schema {
                let name = ::renkei_core::read::definition_name(::core::module_path!(), #text);
                defs.reference(&name, |defs| { #schema })
            }
        }
    })
}

fn structure(fields: &FieldsNamed, of_type: &Attributes) -> syn::Result<(TokenStream, TokenStream)> {
    let mut names = Vec::new();
    let mut idents = Vec::new();
    let mut reads = Vec::new();
    let mut properties = Vec::new();
    for field in &fields.named {
        let attributes = Attributes::read(&field.attrs)?;
        let Some(ident) = &field.ident else { continue };
        let name = attributes.rename.unwrap_or_else(|| ident.to_string().trim_start_matches("r#").to_owned());
        let (doc, ty) = (&attributes.doc, &field.ty);
        let local = quote::format_ident!("field_{}", names.len());
        let (read, default, optional) = match &attributes.missing {
            Missing::ByType => (quote!(fields.read(#name, d)), quote!(None), false),
            Missing::Default => {
                (quote!(fields.read_or(#name, ::core::default::Default::default, d)), quote!(None), true)
            }
            Missing::Literal(literal) => {
                let default = default(literal);
                (quote!(fields.read_or(#name, || #default.read(), d)), quote!(Some(#default)), true)
            }
        };
        reads.push(quote!(let #local: ::core::option::Option<#ty> = #read;));
        properties.push(quote! {
            ::renkei_core::read::Fields::property::<#ty>(#name, #doc, #default, #optional, defs)
        });
        idents.push((ident.clone(), local));
        names.push(name);
    }
    let members = idents.iter().map(|(ident, local)| quote!(#ident: #local?));
    let check = of_type.check.as_ref().map(|path| {
        quote! {
            if fields.is_known() {
                #path(&value, node, d);
            }
        }
    });
    let doc = &of_type.doc;
    let from_node = quote! {
        let fields = ::renkei_core::read::Fields::new(node, &[#(#names),*], d)?;
        #(#reads)*
        let value = Self { #(#members),* };
        #check
        ::core::option::Option::Some(value)
    };
    let schema = quote! {
        let properties = ::std::vec![#(#properties),*];
        ::renkei_core::read::Fields::schema(#doc, properties)
    };
    Ok((from_node, schema))
}

fn enumeration(data: &DataEnum, of_type: &Attributes) -> syn::Result<(TokenStream, TokenStream)> {
    let (mut words, mut keys) = (Vec::new(), Vec::new());
    let (mut arms, mut schemas) = (Vec::new(), Vec::new());
    for variant in &data.variants {
        let attributes = Attributes::read(&variant.attrs)?;
        let ident = &variant.ident;
        let name = attributes.rename.unwrap_or_else(|| snake_case(&ident.to_string()));
        let doc = &attributes.doc;
        match &variant.fields {
            Fields::Unit => {
                arms.push(quote!((#name, None) => Self::#ident));
                schemas.push(quote!(::renkei_core::read::Variants::variant(#name, #doc, None)));
                words.push(name);
            }
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                let ty: &Type = &fields.unnamed[0].ty;
                arms.push(
                    quote!((#name, Some(inner)) => Self::#ident(<#ty as ::renkei_core::FromNode>::from_node(inner, d)?)),
                );
                schemas.push(quote! {{
                    let inner = <#ty as ::renkei_core::FromNode>::schema(defs);
                    ::renkei_core::read::Variants::variant(#name, #doc, Some(inner))
                }});
                keys.push(name);
            }
            other => {
                return Err(syn::Error::new(other.span(), "a variant has no field, or one unnamed field"));
            }
        }
    }
    let check = of_type.check.as_ref().map(|path| {
        quote! {
            if !node.has_unknown() {
                #path(&value, node, d);
            }
        }
    });
    let doc = &of_type.doc;
    let from_node = quote! {
        let variant = ::renkei_core::read::Variants::new(node, &[#(#words),*], &[#(#keys),*], d)?;
        let value = match (variant.name, variant.value) {
            #(#arms,)*
            _ => return ::core::option::Option::None,
        };
        #check
        ::core::option::Option::Some(value)
    };
    let schema = quote! {
        let variants = ::std::vec![#(#schemas),*];
        ::renkei_core::read::Variants::schema(#doc, variants)
    };
    Ok((from_node, schema))
}

/// A literal as `renkei_core::read::Default`.
fn default(literal: &Expr) -> TokenStream {
    let inner = match literal {
        Expr::Unary(ExprUnary { expr, .. }) => expr,
        other => other,
    };
    let variant = match inner {
        Expr::Lit(ExprLit { lit: Lit::Bool(_), .. }) => quote!(Bool),
        Expr::Lit(ExprLit { lit: Lit::Int(_), .. }) => quote!(Int),
        Expr::Lit(ExprLit { lit: Lit::Float(_), .. }) => quote!(Float),
        _ => quote!(Text),
    };
    quote!(::renkei_core::read::Default::#variant(#literal))
}

fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for (at, letter) in name.char_indices() {
        if letter.is_uppercase() && at > 0 {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}
