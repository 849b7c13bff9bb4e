//! The journal on disk, its chain, the views rebuilt from it, and exports.
