//! Rooms as pure state machines: participants, tracks, subscriptions, forwarding, layer selection.
