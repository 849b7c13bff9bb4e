//! What must be true before something irreversible: looks, proofs, permits, the ledger.
