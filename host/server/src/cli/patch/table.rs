//! The table that is patched, as the configuration binds it.

/// What a patch may name.
pub(super) struct Table<'a> {
    /// `[resource.NAME]`.
    pub(super) name: &'a str,
    /// The key's columns.
    pub(super) key: &'a [String],
    /// Every column.
    pub(super) columns: Vec<&'a String>,
}

impl Table<'_> {
    /// Whether the table has this column.
    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|name| *name == column)
    }

    /// Whether the column belongs to the key.
    pub(super) fn is_key(&self, column: &str) -> bool {
        self.key.iter().any(|name| name == column)
    }
}
