//! The contract as Rust types, generated from `wit/`. Private: the rest of the host speaks
//! [`mendwright_core`].
#![allow(dead_code, unreachable_pub, missing_docs, reason = "generated")]
#![allow(clippy::all, reason = "generated")]

wasmtime::component::bindgen!({
    path: "../../wit/repair@0.1.0",
    world: "repair-job",
    imports: { default: async },
    exports: { default: async },
    with: { "mendwright:repair/tables.cursor": crate::host::tables::Cursor },
});
