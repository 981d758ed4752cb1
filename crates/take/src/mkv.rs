//! Matroska as we write it.
