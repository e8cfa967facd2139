//! Reading Rust: what stands in the sources of a program and nowhere else. Tests within them don't count.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use syn::{Attribute, Expr, ExprCall, ExprMethodCall, Item, Lit, Meta, visit::Visit};

/// A file of sources.
pub struct Source {
    /// From the checkout.
    pub path: String,
    /// What is in it.
    pub file: syn::File,
}

/// Every file of Rust below a folder of the checkout, in the order of their paths, without its tests.
pub fn below(folder: &str) -> anyhow::Result<Vec<Source>> {
    let root = crate::root();
    let mut paths = Vec::new();
    collect(&root.join(folder), &mut paths).with_context(|| folder.to_owned())?;
    paths.sort();
    let (mut sources, mut tests) = (Vec::new(), Vec::new());
    for path in paths {
        let shown = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
        let mut file = syn::parse_file(&fs::read_to_string(&path)?).with_context(|| shown.clone())?;
        let of_tests = file.items.extract_if(.., |item| is_test(item));
        tests.extend(of_tests.filter_map(|item| in_a_file(&item, &path)));
        sources.push((path, Source { path: shown, file }));
    }
    sources.retain(|(path, _)| !tests.contains(path));
    Ok(sources.into_iter().map(|(_, source)| source).collect())
}

/// Where a module is that has a file of its own: `tests.rs` beside `mod.rs`, and `name/tests.rs` of `name.rs`.
fn in_a_file(item: &Item, declared_in: &Path) -> Option<PathBuf> {
    let Item::Mod(module) = item else { return None };
    let stem = declared_in.file_stem()?.to_str()?;
    let folder = match stem {
        "lib" | "main" | "mod" => declared_in.parent()?.to_owned(),
        _ => declared_in.with_extension(""),
    };
    module
        .content
        .is_none()
        .then(|| folder.join(format!("{}.rs", module.ident)))
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

fn is_test(item: &Item) -> bool {
    let Item::Mod(module) = item else { return false };
    module.attrs.iter().any(|attribute| {
        matches!(&attribute.meta, Meta::List(list) if list.path.is_ident("cfg") && list.tokens.to_string() == "test")
    })
}

/// A call of a method or a function, with the text that is its first argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The last part of its name.
    pub name: String,
    /// The whole path of a function, as `std::env::var`.
    pub path: String,
    /// The first argument, where it is a text as it stands.
    pub text: Option<String>,
}

/// Every call of a function in that source.
pub fn functions(source: &Source) -> Vec<Call> {
    struct Visitor(Vec<Call>);
    impl<'ast> Visit<'ast> for Visitor {
        fn visit_expr_call(&mut self, call: &'ast ExprCall) {
            if let Expr::Path(path) = &*call.func {
                let segments: Vec<_> = path
                    .path
                    .segments
                    .iter()
                    .map(|part| part.ident.to_string())
                    .collect();
                self.0.push(Call {
                    name: segments.last().cloned().unwrap_or_default(),
                    path: segments.join("::"),
                    text: call.args.first().and_then(text_of),
                });
            }
            syn::visit::visit_expr_call(self, call);
        }

        // What `#[arg(skip = secret_from_env("A"))]` says is an expression within an attribute.
        fn visit_attribute(&mut self, attribute: &'ast Attribute) {
            if !attribute.path().is_ident("arg") {
                return;
            }
            let _ = attribute.parse_nested_meta(|meta| {
                if meta.input.peek(syn::Token![=]) {
                    let value: Expr = meta.value()?.parse()?;
                    let mut inside = Visitor(Vec::new());
                    inside.visit_expr(&value);
                    self.0.append(&mut inside.0);
                } else if meta.input.peek(syn::token::Paren) {
                    let content;
                    syn::parenthesized!(content in meta.input);
                    let _: proc_macro2::TokenStream = content.parse()?;
                }
                Ok(())
            });
        }
    }
    let mut visitor = Visitor(Vec::new());
    visitor.visit_file(&source.file);
    visitor.0
}

/// Every chain of methods in that source, `a.b("x").c()` as `b` and `c`.
pub fn chains(source: &Source) -> Vec<Vec<Call>> {
    struct Visitor(Vec<Vec<Call>>);
    impl<'ast> Visit<'ast> for Visitor {
        fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
            let mut chain = Vec::new();
            let mut next = Some(call);
            while let Some(link) = next {
                let name = link.method.to_string();
                chain.push(Call {
                    path: name.clone(),
                    name,
                    text: link.args.first().and_then(text_of),
                });
                for argument in &link.args {
                    self.visit_expr(argument);
                }
                next = match &*link.receiver {
                    Expr::MethodCall(inner) => Some(inner),
                    other => {
                        self.visit_expr(other);
                        None
                    }
                };
            }
            chain.reverse();
            self.0.push(chain);
        }
    }
    let mut visitor = Visitor(Vec::new());
    visitor.visit_file(&source.file);
    visitor.0
}

fn text_of(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        Expr::Reference(reference) => text_of(&reference.expr),
        Expr::Group(group) => text_of(&group.expr),
        _ => None,
    }
}

/// What the comment above says, in one line.
pub fn documentation(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => text_of(&pair.value),
        _ => None,
    });
    let lines: Vec<_> = lines.map(|line| line.trim().to_owned()).collect();
    lines.join(" ").trim().to_owned()
}

/// The enum of that name in a file of the checkout.
pub fn enumeration(path: &str, name: &str) -> anyhow::Result<syn::ItemEnum> {
    let file = syn::parse_file(&crate::read(path)?)?;
    for item in file.items {
        if let Item::Enum(found) = item
            && found.ident == name
        {
            return Ok(found);
        }
    }
    bail!("{path} has no enum {name}")
}
