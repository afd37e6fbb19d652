//! Assembles the parts, reloads, supervises and drains them.
