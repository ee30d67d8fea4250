//! Pages as the contract's generated types. Nothing is copied: the arrays go over as they are.

use mendwright_core::page::{self, Page};

use crate::bindings::mendwright::repair::tables;

pub(crate) fn to_guest(page: Page) -> tables::Page {
    tables::Page { n_rows: page.n_rows, columns: page.columns.into_iter().map(column).collect() }
}

fn column(column: page::ColumnValues) -> tables::ColumnValues {
    let values = match column.values {
        page::Vector::Null => tables::Vector::Null,
        page::Vector::Boolean(all) => tables::Vector::Boolean(all),
        page::Vector::Integer(all) => tables::Vector::Integer(all),
        page::Vector::Float(all) => tables::Vector::Float(all),
        page::Vector::Decimal(page::Decimals { coefficients, scales, digits }) => {
            tables::Vector::Decimal(tables::Decimals { coefficients, scales, digits })
        }
        page::Vector::Text(all) => tables::Vector::Text(packed(all)),
        page::Vector::Bytes(all) => tables::Vector::Bytes(packed(all)),
        page::Vector::Timestamp(all) => tables::Vector::Timestamp(packed(all)),
        page::Vector::Json(all) => tables::Vector::Json(packed(all)),
    };
    tables::ColumnValues { nulls: column.nulls, values }
}

fn packed(page::Packed { offsets, bytes }: page::Packed) -> tables::Packed {
    tables::Packed { offsets, bytes }
}
