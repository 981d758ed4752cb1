//! What stands behind the front.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use reelroom_routes::Doors;
use tower::Service as _;
use tower_http::cors::CorsLayer;

/// Who answers a request that was let in: a table of routes, or nobody, and nothing else. Tests of the front have routers of their own.
#[derive(Clone)]
pub(crate) enum Behind {
    Doors(Doors),
    /// Of a port that answers nothing by itself.
    Nobody,
    #[cfg(test)]
    Router(axum::Router),
}

impl Behind {
    pub(crate) fn layer(self, layer: CorsLayer) -> Self {
        match self {
            Self::Doors(doors) => Self::Doors(doors.layer(layer)),
            Self::Nobody => Self::Nobody,
            #[cfg(test)]
            Self::Router(router) => Self::Router(router.layer(layer)),
        }
    }

    pub(crate) async fn answer(&self, request: Request) -> Response {
        let answered = match self {
            Self::Doors(doors) => doors.clone().call(request).await,
            Self::Nobody => Ok(StatusCode::NOT_FOUND.into_response()),
            #[cfg(test)]
            Self::Router(router) => router.clone().call(request).await,
        };
        match answered {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

impl From<Doors> for Behind {
    fn from(doors: Doors) -> Self {
        Self::Doors(doors)
    }
}

#[cfg(test)]
impl From<axum::Router> for Behind {
    fn from(router: axum::Router) -> Self {
        Self::Router(router)
    }
}
