//! The LiveKit Egress API: jobs, capture, composers, outputs.
