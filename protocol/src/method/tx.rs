//! Class tx (90): transactions.

use super::arguments::methods;

methods! {
    /// Makes the channel transactional.
    Select {}

    /// It is.
    SelectOk {}

    /// Does what was published and settled since the last time.
    Commit {}

    /// It is done.
    CommitOk {}

    /// Forgets what was published and settled since the last time.
    Rollback {}

    /// It is forgotten.
    RollbackOk {}
}
