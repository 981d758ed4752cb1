//! The take: a recording's tracks as received, on disk.
