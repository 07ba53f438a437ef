//! Every path that a file names outside its tests: in `use` trees, in types, in expressions and inside macros.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Item, ItemUse, UseTree, Visibility};

/// What a file says, before any of it is resolved.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// Modules that are files of their own.
    pub(crate) children: Vec<String>,
    /// Structs, functions and whatever else has a name here.
    pub(crate) defined: Vec<String>,
    /// `use` lines.
    pub(crate) uses: Vec<Use>,
    /// Paths of two segments or more in code.
    pub(crate) paths: Vec<Vec<String>>,
}

#[derive(Debug)]
pub(crate) struct Use {
    pub(crate) path: Vec<String>,
    /// The name it has in this file; `*` for all.
    pub(crate) alias: String,
    /// A name that is handed on rather than used.
    pub(crate) re_export: bool,
}

pub(crate) fn read(text: &str) -> syn::Result<Named> {
    let mut named = Named::default();
    for item in syn::parse_file(text)?.items {
        named.item(item, 0);
    }
    Ok(named)
}

impl Named {
    /// `depth`: how many inline modules the item stands in, so that `super` can be counted off.
    fn item(&mut self, item: Item, depth: usize) {
        if is_test(attributes(&item)) {
            return;
        }
        match item {
            Item::Use(item) => self.use_item(&item, depth),
            Item::Mod(item) => match item.content {
                None => self.children.push(item.ident.to_string()),
                Some((_, items)) => {
                    self.defined.push(item.ident.to_string());
                    items.into_iter().for_each(|item| self.item(item, depth + 1));
                }
            },
            other => {
                self.defined.extend(name(&other));
                self.tokens(other.to_token_stream(), depth);
            }
        }
    }

    fn use_item(&mut self, item: &ItemUse, depth: usize) {
        let re_export = !matches!(item.vis, Visibility::Inherited);
        self.tree(&item.tree, Vec::new(), re_export, depth);
    }

    fn tree(&mut self, tree: &UseTree, mut path: Vec<String>, re_export: bool, depth: usize) {
        let alias = match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                return self.tree(&step.tree, path, re_export, depth);
            }
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.tree(tree, path.clone(), re_export, depth));
            }
            UseTree::Glob(_) => "*".to_owned(),
            UseTree::Name(name) if name.ident == "self" => path.last().cloned().unwrap_or_default(),
            UseTree::Name(name) => {
                path.push(name.ident.to_string());
                name.ident.to_string()
            }
            UseTree::Rename(rename) => {
                path.push(rename.ident.to_string());
                rename.rename.to_string()
            }
        };
        self.uses.push(Use { path: outside(path, depth), alias, re_export });
    }

    /// Collects `a::b::C` wherever it stands, and `use` lines inside functions.
    fn tokens(&mut self, stream: TokenStream, depth: usize) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.tokens(group.stream(), depth),
                TokenTree::Ident(ident) if ident == "use" => {
                    let length = tokens[at..].iter().take_while(|token| !is_punct(token, ';')).count() + 1;
                    let line = tokens[at..].iter().take(length).cloned().collect();
                    if let Ok(item) = syn::parse2::<ItemUse>(line) {
                        self.use_item(&item, depth);
                        at += length;
                        continue;
                    }
                }
                TokenTree::Ident(ident) => {
                    let mut path = vec![ident.to_string()];
                    while let [colon, other, TokenTree::Ident(ident)] = &tokens[at + 1..(at + 4).min(tokens.len())]
                        && is_punct(colon, ':')
                        && is_punct(other, ':')
                    {
                        path.push(ident.to_string());
                        at += 3;
                    }
                    if path.len() > 1 {
                        self.paths.push(outside(path, depth));
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }
}

/// The path as seen from the file rather than from an inline module in it.
fn outside(mut path: Vec<String>, depth: usize) -> Vec<String> {
    for _ in 0..depth {
        if path.first().is_some_and(|first| first == "super") {
            path.remove(0);
            if path.first().is_none_or(|first| first != "super") {
                path.insert(0, "self".to_owned());
                break;
            }
        }
    }
    path
}

fn is_punct(token: &TokenTree, char: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == char)
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = attribute.to_token_stream().to_string().replace(' ', "");
        text == "#[test]" || text.starts_with("#[cfg(test") || text.starts_with("#[cfg(all(test")
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}
