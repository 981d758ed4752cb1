//! Self-hosted video calls whose recordings cannot be lost.
