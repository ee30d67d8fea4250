//! `#[job]`.

use std::path::{Path, PathBuf};

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::Parser;
use syn::{Error, FnArg, Ident, ItemFn, LitStr, Result, Type, parse2};

use crate::manifest;

#[derive(Default)]
struct Arguments {
    manifest: Option<LitStr>,
    verify: Option<Ident>,
    rollback: Option<Ident>,
}

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let arguments = parse_arguments(arguments)?;
    let function: ItemFn = parse2(item)?;
    let params = params_of(&function)?;
    let path = manifest_path(arguments.manifest.as_ref())?;
    let constant = manifest::constant(&path, function.sig.ident.span())?;
    let implementation = implementation(&function.sig.ident, params.as_ref(), &arguments, &constant);
    let schema = schema(params.is_some(), path.parent().unwrap_or(&path));
    let path = path.display().to_string();
    // As visible as the function: a test in another file needs `pub fn`, and then `pub` parameters.
    let vis = &function.vis;
    Ok(quote! {
        #function

        /// This job.
        #[derive(Clone, Copy, Debug)]
        #vis struct ThisJob;

        // The manifest is part of this source: a change of it compiles the job again.
        const _: &[u8] = ::core::include_bytes!(#path);

        #implementation
        #schema

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Component = ::mendwright_sdk::__private::Export<ThisJob>;
            ::mendwright_sdk::__private::bindings::__export_repair_job!(
                Component with_types_in ::mendwright_sdk::__private::bindings
            );
        };
    })
}

fn parse_arguments(tokens: TokenStream) -> Result<Arguments> {
    let mut arguments = Arguments::default();
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("manifest") {
            arguments.manifest = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("verify") {
            arguments.verify = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("rollback") {
            arguments.rollback = Some(meta.value()?.parse()?);
        } else {
            return Err(meta.error("one of `manifest = \"…\"`, `verify = name`, `rollback = name`"));
        }
        Ok(())
    });
    parser.parse2(tokens)?;
    Ok(arguments)
}

/// The type of the second argument.
fn params_of(function: &ItemFn) -> Result<Option<Type>> {
    let wrong = || {
        let message = "a job is `fn(run: &Run) -> Result` or `fn(run: &Run, params: P) -> Result`";
        Error::new_spanned(&function.sig, message)
    };
    let mut inputs = function.sig.inputs.iter();
    if function.sig.asyncness.is_some() || inputs.next().is_none() {
        return Err(wrong());
    }
    let params = inputs.next();
    if inputs.next().is_some() {
        return Err(wrong());
    }
    match params {
        None => Ok(None),
        Some(FnArg::Typed(argument)) => Ok(Some((*argument.ty).clone())),
        Some(FnArg::Receiver(_)) => Err(wrong()),
    }
}

#[expect(clippy::disallowed_methods, reason = "cargo tells a macro the package's directory in this way only")]
fn manifest_path(named: Option<&LitStr>) -> Result<PathBuf> {
    let directory = std::env::var("CARGO_MANIFEST_DIR");
    let directory = directory.map_err(|_| Error::new(Span::call_site(), "cargo did not say where the package is"))?;
    let file = named.map_or_else(|| "job.toml".to_owned(), LitStr::value);
    Ok(Path::new(&directory).join(file))
}

fn implementation(name: &Ident, params: Option<&Type>, arguments: &Arguments, manifest: &TokenStream) -> TokenStream {
    let (params, call) = match params {
        Some(params) => (quote!(#params), quote!(#name(run, params))),
        None => (
            quote!(::mendwright_sdk::job::NoParams),
            quote!({
                let _ = params;
                #name(run)
            }),
        ),
    };
    let verify = arguments.verify.as_ref().map(|verify| {
        quote! {
            fn verify(
                run: &::mendwright_sdk::Run,
                changed: &[::mendwright_sdk::Planned],
            ) -> ::mendwright_sdk::Result {
                #verify(run, changed)
            }
        }
    });
    let rollback = arguments.rollback.as_ref().map(|rollback| {
        quote! {
            fn rollback(
                run: &::mendwright_sdk::Run,
                changed: &[::mendwright_sdk::Planned],
            ) -> ::mendwright_sdk::Result<::mendwright_sdk::Compensation> {
                #rollback(run, changed)
            }
        }
    });
    quote! {
        impl ::mendwright_sdk::job::Repair for ThisJob {
            type Params = #params;

            const MANIFEST: ::mendwright_sdk::manifest::Manifest = #manifest;

            fn repair(run: &::mendwright_sdk::Run, params: Self::Params) -> ::mendwright_sdk::Result {
                #call
            }

            #verify
            #rollback
        }
    }
}

fn schema(has_params: bool, directory: &Path) -> TokenStream {
    let file = directory.join("params.schema.json").display().to_string();
    let test = has_params.then(|| {
        quote! {
            #[cfg(test)]
            #[test]
            fn the_schema_file_is_that_of_the_parameters() {
                ::mendwright_sdk::testing::schema_is_current::<ThisJob>(#file);
            }
        }
    });
    quote! {
        /// The JSON Schema of this job's parameters, as `params.schema.json` holds it.
        #[cfg(not(target_arch = "wasm32"))]
        #[must_use]
        pub fn params_schema() -> ::mendwright_sdk::__private::serde_json::Value {
            ::mendwright_sdk::job::params_schema::<ThisJob>()
        }

        #test
    }
}
