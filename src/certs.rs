//! Has a valid certificate for every name: needs → plan → order → bundle → catalog.
