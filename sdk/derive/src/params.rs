//! `#[params]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Result, parse2};

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = parse2(item)?;
    // `Serialize` is for the defaults that the schema shows. An unknown name in an enum is refused anyhow.
    let strict = match input.data {
        Data::Struct(_) => quote!(, deny_unknown_fields),
        Data::Enum(_) | Data::Union(_) => quote!(),
    };
    Ok(quote! {
        #[derive(::mendwright_sdk::serde::Deserialize)]
        #[serde(crate = "::mendwright_sdk::serde" #strict)]
        #[cfg_attr(
            not(target_arch = "wasm32"),
            derive(::mendwright_sdk::__private::schemars::JsonSchema, ::mendwright_sdk::serde::Serialize),
            schemars(crate = "::mendwright_sdk::__private::schemars")
        )]
        #input
    })
}
