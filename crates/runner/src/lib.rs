//! Joins the halves: actions, the async shell of the engine, the image store.
