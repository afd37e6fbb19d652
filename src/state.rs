//! What survives a restart: PEM files that are the truth, and a journal beside them that can be rebuilt.
