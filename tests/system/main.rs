//! The system tests.
