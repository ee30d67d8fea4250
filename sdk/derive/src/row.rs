//! `#[derive(Row)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Error, Field, Fields, Ident, LitStr, Result, Type, Visibility, parse2};

/// One field of the struct.
struct Column {
    field: Ident,
    vis: Visibility,
    ty: Type,
    name: String,
    key: bool,
    write: bool,
}

pub(crate) fn expand(input: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = parse2(input)?;
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "a row has no type parameters"));
    }
    let table = table(&input)?;
    let columns = columns(&input)?;
    let keyed = columns.iter().any(|column| column.key);
    if let Some(column) = columns.iter().find(|column| column.write && !keyed) {
        return Err(Error::new(column.field.span(), "to be written, a row needs a field with `#[row(key)]`"));
    }
    let name = &input.ident;
    let row = implement_row(name, &table, &columns);
    let keyed = if keyed { implement_keyed(name, &columns) } else { TokenStream::new() };
    let own = own_items(name, &columns);
    Ok(quote!(#row #keyed #own))
}

fn table(input: &DeriveInput) -> Result<LitStr> {
    let mut table = None;
    for attribute in input.attrs.iter().filter(|a| a.path().is_ident("row")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("table") {
                return Err(meta.error("on a row stands only `table = \"…\"`"));
            }
            table = Some(meta.value()?.parse()?);
            Ok(())
        })?;
    }
    table.ok_or_else(|| Error::new(input.ident.span(), "a row needs its table: `#[row(table = \"invoices\")]`"))
}

fn columns(input: &DeriveInput) -> Result<Vec<Column>> {
    let wrong = || Error::new(input.ident.span(), "a row is a struct with named fields");
    let Data::Struct(data) = &input.data else { return Err(wrong()) };
    let Fields::Named(fields) = &data.fields else { return Err(wrong()) };
    fields.named.iter().map(column).collect()
}

fn column(field: &Field) -> Result<Column> {
    let ident = field.ident.clone().ok_or_else(|| Error::new_spanned(field, "a column needs a name"))?;
    let name = ident.to_string().trim_start_matches("r#").to_owned();
    let (vis, ty) = (field.vis.clone(), field.ty.clone());
    let mut column = Column { field: ident, vis, ty, name, key: false, write: false };
    for attribute in field.attrs.iter().filter(|a| a.path().is_ident("row")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("key") {
                column.key = true;
            } else if meta.path.is_ident("write") {
                column.write = true;
            } else if meta.path.is_ident("column") {
                column.name = meta.value()?.parse::<LitStr>()?.value();
            } else {
                return Err(meta.error("one of `key`, `write`, `column = \"…\"`"));
            }
            Ok(())
        })?;
    }
    if column.key && column.write {
        return Err(Error::new(column.field.span(), "a key is not writable"));
    }
    Ok(column)
}

fn implement_row(name: &Ident, table: &LitStr, columns: &[Column]) -> TokenStream {
    let specs = columns.iter().map(|Column { ty, name, key, .. }| {
        quote! {
            ::mendwright_sdk::row::ColumnSpec {
                name: #name,
                kind: <#ty as ::mendwright_sdk::value::Field>::KIND,
                nullable: <#ty as ::mendwright_sdk::value::Field>::NULLABLE,
                key: #key,
            }
        }
    });
    let fields: Vec<_> = columns.iter().map(|column| &column.field).collect();
    quote! {
        impl ::mendwright_sdk::row::Row for #name {
            const TABLE: &'static str = #table;
            const COLUMNS: &'static [::mendwright_sdk::row::ColumnSpec] = &[#(#specs),*];

            fn decode(row: ::mendwright_sdk::RowRef<'_>) -> ::mendwright_sdk::Result<Self> {
                let mut reader = ::mendwright_sdk::row::Reader::new::<Self>(row);
                ::core::result::Result::Ok(Self { #(#fields: reader.take()?),* })
            }

            fn encode(&self) -> ::std::vec::Vec<::mendwright_sdk::Value> {
                ::std::vec![#(::mendwright_sdk::value::Field::to_value(&self.#fields)),*]
            }
        }
    }
}

fn implement_keyed(name: &Ident, columns: &[Column]) -> TokenStream {
    let keys: Vec<_> = columns.iter().filter(|column| column.key).collect();
    let types = keys.iter().map(|column| &column.ty);
    let fields = keys.iter().map(|column| &column.field);
    let (ty, value) = match keys.len() {
        1 => (quote!(#(#types)*), quote!(#(::core::clone::Clone::clone(&self.#fields))*)),
        _ => (quote!((#(#types,)*)), quote!((#(::core::clone::Clone::clone(&self.#fields),)*))),
    };
    quote! {
        impl ::mendwright_sdk::row::Keyed for #name {
            type Key = #ty;

            fn key(&self) -> Self::Key {
                #value
            }
        }
    }
}

fn own_items(name: &Ident, columns: &[Column]) -> TokenStream {
    let constants = columns.iter().map(|Column { field, vis, ty, name: column, write, .. }| {
        let constant = format_ident!("{}", field.to_string().trim_start_matches("r#").to_uppercase());
        let access = if *write { quote!(Write) } else { quote!(Read) };
        let doc = format!("Column `{column}`.");
        quote! {
            #[doc = #doc]
            #vis const #constant: ::mendwright_sdk::row::Column<#name, #ty, ::mendwright_sdk::row::#access> =
                ::mendwright_sdk::row::Column::new(#column, |row: &#name| &row.#field);
        }
    });
    let setters = columns.iter().filter(|column| column.write).map(|Column { field, vis, ty, name: column, .. }| {
        let setter = format_ident!("set_{}", field.to_string().trim_start_matches("r#"));
        let constant = format_ident!("{}", field.to_string().trim_start_matches("r#").to_uppercase());
        let doc = format!("A change of this row that sets `{column}`.");
        quote! {
            #[doc = #doc]
            #vis fn #setter(&self, value: impl ::core::convert::Into<#ty>) -> ::mendwright_sdk::change::Update<#name> {
                ::mendwright_sdk::row::Keyed::change(self).set(Self::#constant, value)
            }
        }
    });
    quote! {
        #[allow(dead_code, reason = "a job uses the columns it needs")]
        impl #name {
            #(#constants)*
            #(#setters)*
        }
    }
}
