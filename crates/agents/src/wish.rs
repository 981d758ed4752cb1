//! Which agent is to come, and what it is told.

use std::collections::HashMap;

use reelroom_limits::agents::{AGENT_NAME_BYTES, DEPLOYMENT_BYTES, DISPATCH_METADATA_BYTES, DISPATCHES};
use reelroom_limits::signalling::{ATTRIBUTE_NAME_BYTES, ATTRIBUTES, ATTRIBUTES_BYTES};
use reelroom_protocol::proto::{CreateAgentDispatchRequest, JobRestartPolicy, RoomAgentDispatch};
use serde::{Deserialize, Serialize};

use crate::error::{AgentsError, within};

/// An agent that is asked for. The empty one is for every agent without a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    pub(crate) agent_name: String,
    pub(crate) metadata: String,
    /// As it was said: whether a job is begun anew decides LiveKit's cloud by it.
    pub(crate) restart_policy: i32,
    pub(crate) deployment: String,
    pub(crate) attributes: HashMap<String, String>,
}

impl Wish {
    /// As a room or a token names it.
    ///
    /// # Errors
    /// What is too much of it.
    pub fn of_room(asked: &RoomAgentDispatch) -> Result<Self, AgentsError> {
        let wish = Self {
            agent_name: asked.agent_name.clone(),
            metadata: asked.metadata.clone(),
            restart_policy: restart_policy(asked.restart_policy),
            deployment: asked.deployment.clone(),
            attributes: asked.attributes.clone(),
        };
        wish.within_bounds()
    }

    /// As CreateDispatch names it.
    ///
    /// # Errors
    /// What is too much of it.
    pub fn of_call(asked: CreateAgentDispatchRequest) -> Result<Self, AgentsError> {
        let wish = Self {
            agent_name: asked.agent_name,
            metadata: asked.metadata,
            restart_policy: restart_policy(asked.restart_policy),
            deployment: asked.deployment,
            attributes: asked.attributes,
        };
        wish.within_bounds()
    }

    /// How much text goes with each of its jobs.
    pub(crate) fn text_bytes(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| name.len() + value.len());
        self.metadata.len() + attributes.sum::<usize>()
    }

    fn within_bounds(self) -> Result<Self, AgentsError> {
        within("the agent's name", &self.agent_name, AGENT_NAME_BYTES)?;
        within("the metadata of a dispatch", &self.metadata, DISPATCH_METADATA_BYTES)?;
        deployment(&self.deployment)?;
        bounded(&self.attributes)?;
        Ok(self)
    }
}

/// Whether a room may ask for these agents.
///
/// # Errors
/// What is too much of them.
pub fn check(asked: &[RoomAgentDispatch]) -> Result<(), AgentsError> {
    if asked.len() > DISPATCHES {
        return Err(AgentsError::TooManyDispatches);
    }
    asked.iter().try_for_each(|asked| Wish::of_room(asked).map(drop))
}

/// Whether it is the name of a deployment, as LiveKit has them.
pub(crate) fn deployment(name: &str) -> Result<(), AgentsError> {
    within("the deployment", name, DEPLOYMENT_BYTES)?;
    let is_odd = |byte: u8| byte <= b' ' || byte == 0x7f || byte == b'_';
    if name.bytes().any(is_odd) { Err(AgentsError::Deployment) } else { Ok(()) }
}

/// One that has no name could not be listed in JSON.
fn restart_policy(said: i32) -> i32 {
    JobRestartPolicy::try_from(said).unwrap_or_default().into()
}

pub(crate) fn bounded(attributes: &HashMap<String, String>) -> Result<(), AgentsError> {
    if attributes.len() > ATTRIBUTES {
        return Err(AgentsError::TooManyAttributes { at_most: ATTRIBUTES });
    }
    let mut bytes = 0;
    for (name, value) in attributes {
        within("the name of an attribute", name, ATTRIBUTE_NAME_BYTES)?;
        bytes += name.len() + value.len();
    }
    if bytes > ATTRIBUTES_BYTES {
        return Err(AgentsError::TooLong { what: "the text of all attributes", at_most: ATTRIBUTES_BYTES });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_beyond_its_bounds_is_refused_in_words() {
        let base = RoomAgentDispatch::default;
        let long = |bytes: usize| "x".repeat(bytes + 1);
        let many = (0..=ATTRIBUTES).map(|number| (format!("{number}"), String::new())).collect();
        let one = |name: String, value: String| HashMap::from([(name, value)]);
        for (asked, what) in [
            (RoomAgentDispatch { agent_name: long(AGENT_NAME_BYTES), ..base() }, "name"),
            (RoomAgentDispatch { metadata: long(DISPATCH_METADATA_BYTES), ..base() }, "metadata"),
            (RoomAgentDispatch { deployment: long(DEPLOYMENT_BYTES), ..base() }, "deployment"),
            (RoomAgentDispatch { deployment: "a_b".into(), ..base() }, "deployment"),
            (RoomAgentDispatch { deployment: "a b".into(), ..base() }, "deployment"),
            (RoomAgentDispatch { attributes: many, ..base() }, "attributes"),
            (RoomAgentDispatch { attributes: one(long(256), String::new()), ..base() }, "attribute"),
            (
                RoomAgentDispatch { attributes: one("a".into(), long(ATTRIBUTES_BYTES)), ..base() },
                "attributes",
            ),
        ] {
            let refused = check(&[base(), asked]).unwrap_err().to_string();
            assert!(refused.contains(what), "{refused}");
        }
        assert!(check(&vec![base(); DISPATCHES]).is_ok());
        assert_eq!(check(&vec![base(); DISPATCHES + 1]), Err(AgentsError::TooManyDispatches));
        assert!(deployment("v1.2-green").is_ok());
        let odd = RoomAgentDispatch { restart_policy: 99, ..base() };
        assert_eq!(Wish::of_room(&odd), Ok(Wish::default()), "nobody knows what that would be");
    }
}
