//! Take to MP4: timeline, layout, drawing, mixing, encoding.
