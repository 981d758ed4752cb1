//! Data blobs: small things that a participant stores under a key, for others to get by its identity and that key. The schema of a
//! data track is one. They end with their participant.

use std::collections::BTreeMap;

use prost::Message as _;
use reelroom_limits::media::{DATA_BLOB_BYTES, DATA_BLOBS_BYTES};
use reelroom_limits::signalling::NAME_BYTES;
use reelroom_protocol::ids::ParticipantSid;
use reelroom_protocol::proto::{
    DataBlob, DataBlobKey, GetDataBlobRequest, GetDataBlobResponse, RequestResponse, StoreDataBlobRequest,
    StoreDataBlobResponse, data_blob_key, request_response, signal_response,
};

use crate::data_track::is_schema;
use crate::room::Room;

/// What a blob costs besides its contents and its key.
const BLOB_COST_BYTES: usize = 128;

/// What a participant has stored, by the bytes of the key.
#[derive(Debug, Default)]
pub(crate) struct Blobs {
    kept: BTreeMap<Vec<u8>, DataBlob>,
    /// What all of them cost.
    bytes: usize,
}

impl Blobs {
    /// Keeps a blob in the place of the one of its key, unless all would be too much.
    fn store(&mut self, key: Vec<u8>, blob: DataBlob) -> bool {
        let cost = |key: &[u8], blob: &DataBlob| 2 * key.len() + blob.contents.len() + BLOB_COST_BYTES;
        let former = self.kept.get(&key).map_or(0, |former| cost(&key, former));
        let bytes = self.bytes - former + cost(&key, &blob);
        if bytes > DATA_BLOBS_BYTES {
            return false;
        }
        self.bytes = bytes;
        self.kept.insert(key, blob);
        true
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Whether a key can be one.
fn is_key(key: &DataBlobKey) -> bool {
    match &key.key {
        Some(data_blob_key::Key::Generic(name)) => !name.is_empty() && name.len() <= NAME_BYTES,
        Some(data_blob_key::Key::SchemaId(schema)) => is_schema(schema),
        None => false,
    }
}

impl Room {
    /// StoreDataBlobRequest.
    pub(crate) fn store_data_blob(&mut self, from: &ParticipantSid, request: StoreDataBlobRequest) {
        use request_response::Reason;
        let id = request.request_id;
        let Some(participant) = self.participants.get_mut(from) else { return };
        // Whoever may send no data puts none where others take it from.
        if !participant.grants.may_publish_data() {
            return self.answer_blob(
                from,
                id,
                Reason::NotAllowed,
                "does not have permission to publish data",
            );
        }
        let blob = request.blob.unwrap_or_default();
        let Some(key) = blob.key.clone().filter(is_key) else {
            let text = format!("the key of a data blob has a name of 1 to {NAME_BYTES} bytes");
            return self.answer_blob(from, id, Reason::InvalidRequest, &text);
        };
        if blob.contents.is_empty() {
            return self.answer_blob(from, id, Reason::InvalidRequest, "the data blob is empty");
        }
        if blob.contents.len() > DATA_BLOB_BYTES {
            let text = format!("a data blob has {DATA_BLOB_BYTES} bytes at most");
            return self.answer_blob(from, id, Reason::LimitExceeded, &text);
        }
        if !participant.blobs.store(key.encode_to_vec(), blob) {
            let text = format!("all data blobs of a participant have {DATA_BLOBS_BYTES} bytes at most");
            return self.answer_blob(from, id, Reason::LimitExceeded, &text);
        }
        let response = StoreDataBlobResponse { request_id: id, key: Some(key) };
        self.signal(from, signal_response::Message::StoreDataBlobResponse(response));
    }

    /// GetDataBlobRequest.
    pub(crate) fn get_data_blob(&mut self, from: &ParticipantSid, request: &GetDataBlobRequest) {
        use request_response::Reason;
        let id = request.request_id;
        let Some(key) = &request.key else {
            return self.answer_blob(from, id, Reason::InvalidRequest, "a data blob is got by its key");
        };
        let owner = self.participants.values().find(|participant| {
            participant.identity.as_str() == request.participant_identity
                && (participant.is_visible() || participant.sid == *from)
        });
        let Some(owner) = owner else {
            return self.answer_blob(from, id, Reason::NotFound, "there is no such participant");
        };
        let Some(blob) = owner.blobs.kept.get(&key.encode_to_vec()).cloned() else {
            return self.answer_blob(from, id, Reason::NotFound, "there is no such data blob");
        };
        let response = GetDataBlobResponse { request_id: id, blob: Some(blob) };
        self.signal(from, signal_response::Message::GetDataBlobResponse(response));
    }

    fn answer_blob(&mut self, to: &ParticipantSid, id: u32, reason: request_response::Reason, text: &str) {
        let response = RequestResponse {
            request_id: id,
            reason: reason.into(),
            message: text.to_owned(),
            ..Default::default()
        };
        self.signal(to, signal_response::Message::RequestResponse(response));
    }
}

#[cfg(test)]
mod tests;
