//! The media server: sockets, WebRTC sessions, signalling, RoomService, webhook delivery.
