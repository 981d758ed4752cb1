//! What stands before a handler: who asks, and whether they may.

use std::pin::Pin;

use axum::extract::Request;
use axum::handler::Handler;
use axum::response::Response;
use reelroom_access::{Reach, Resource, reach};

use crate::keeper::Keeper;
use crate::needs::{Needs, On};
use crate::refusal::Refusal;
use crate::visitor::Visitor;

/// A handler behind its guard.
#[derive(Clone)]
pub(crate) struct Guarded<H> {
    pub(crate) needs: Needs,
    pub(crate) handler: H,
}

impl<H> Guarded<H> {
    async fn answer<T, S>(self, request: Request, state: S) -> Response
    where
        H: Handler<T, S>,
        S: Keeper,
    {
        let Self { needs, handler } = self;
        let Some(right) = needs.right() else { return handler.call(request, state).await };
        let (mut head, body) = request.into_parts();
        let caller = match state.caller(&head).await {
            Ok(caller) => caller,
            Err(refusal) => return S::refuse(refusal),
        };
        let visitor = Visitor::new(caller, right);
        let is_let_in = match needs {
            Needs::Right(right, On::Server) => visitor.may(right, &Resource::Server),
            // Whoever has it nowhere does not have it there.
            Needs::Right(right, _) => reach(visitor.caller(), right) != Reach::Nothing,
            Needs::Public | Needs::Details(_) | Needs::Proof(_) | Needs::RightOrProof(..) => true,
        };
        if !is_let_in {
            return S::refuse(visitor.refusal());
        }
        head.extensions.insert(visitor.clone());
        let response = handler.call(Request::from_parts(head, body), state).await;
        let is_refused = response.status().is_client_error() || response.status().is_server_error();
        if needs.is_asked_inside() && !visitor.has_asked() && !is_refused {
            tracing::error!(right = right.name(), "a handler answers without asking whether its caller may");
            return S::refuse(Refusal::Unasked);
        }
        response
    }
}

impl<H, T, S> Handler<T, S> for Guarded<H>
where
    H: Handler<T, S>,
    T: 'static,
    S: Keeper,
{
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, state: S) -> Self::Future {
        Box::pin(self.answer::<T, S>(request, state))
    }
}
