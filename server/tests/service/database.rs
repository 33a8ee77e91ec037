//! SQLite in the server's data directory: nothing to be made.

pub(crate) struct Database {
    pub(crate) location: server::Location,
}

pub(crate) fn make() -> Option<Database> {
    None
}
