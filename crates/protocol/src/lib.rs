//! LiveKit's wire: ids, tokens, Twirp, webhooks.
