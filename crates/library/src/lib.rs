//! The recordings library: store, sidecars, index, playback.
