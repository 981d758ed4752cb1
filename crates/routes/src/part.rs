//! A part of the table: rows, each with its handler, and what stands around them.

use std::convert::Infallible;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::{Method, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, Route, any, on};
use tower::{Layer, Service};

use crate::doors::Doors;
use crate::guard::Guarded;
use crate::keeper::Keeper;
use crate::needs::Needs;
use crate::row::{REST, Row};

/// A part of the table, of handlers with a state `S`.
///
/// ```
/// use axum::http::Method;
/// use reelroom_routes::{Needs, Part};
///
/// let part = Part::<()>::new("Greetings").row([Method::GET], "/hello", Needs::Public, async || "hello");
/// assert_eq!(part.rows()[0].needs, Needs::Public);
/// ```
///
/// A row that does not say what it needs is none:
///
/// ```compile_fail
/// use axum::http::Method;
/// use reelroom_routes::{Needs, Part};
///
/// let part = Part::<()>::new("Greetings").row([Method::GET], "/hello", async || "hello");
/// ```
///
/// Neither is one whose right does not say on what:
///
/// ```
/// use axum::http::Method;
/// use reelroom_access::Right;
/// use reelroom_routes::{Needs, On, Part};
///
/// let needs = Needs::Right(Right::Observe, On::Server);
/// let part = Part::<()>::new("Figures").row([Method::GET], "/figures", needs, async || "7");
/// ```
///
/// ```compile_fail
/// use axum::http::Method;
/// use reelroom_access::Right;
/// use reelroom_routes::{Needs, On, Part};
///
/// let needs = Needs::Right(Right::Observe);
/// let part = Part::<()>::new("Figures").row([Method::GET], "/figures", needs, async || "7");
/// ```
///
/// Parts are joined. A router cannot be joined to them, and a part takes no route of a router:
///
/// ```
/// use reelroom_routes::Part;
///
/// let part = Part::<()>::new("One").join(Part::new("Another"));
/// ```
///
/// ```compile_fail
/// use axum::routing::get;
/// use reelroom_routes::Part;
///
/// let part = Part::<()>::new("One").join(axum::Router::new().route("/", get(async || "hello")));
/// ```
///
/// ```compile_fail
/// use axum::routing::get;
/// use reelroom_routes::Part;
///
/// let part = Part::<()>::new("One").route("/", get(async || "hello"));
/// ```
#[must_use]
pub struct Part<S = ()> {
    title: &'static str,
    rows: Vec<Row>,
    router: Router<S>,
}

impl<S: Keeper> Part<S> {
    /// A part without rows.
    pub fn new(title: &'static str) -> Self {
        Self { title, rows: Vec::new(), router: Router::new() }
    }

    /// A route: what is asked for by one of `methods` at `path` is answered by `handler`, once it is known that the caller may.
    ///
    /// # Panics
    /// Where there is no method, one that no router knows, or a row for it already.
    #[track_caller]
    pub fn row<H, T>(
        mut self,
        methods: impl IntoIterator<Item = Method>,
        path: &str,
        needs: Needs,
        handler: H,
    ) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let mut filter: Option<MethodFilter> = None;
        for method in methods {
            let one = MethodFilter::try_from(method.clone()).expect("a row is for a method of HTTP's own");
            filter = Some(filter.map_or(one, |others| others.or(one)));
            self.rows.push(Row { part: self.title, method: Some(method), path: path.to_owned(), needs });
        }
        let filter = filter.expect("a row is for a method");
        self.router = self.router.route(path, on::<Guarded<H>, T, S>(filter, Guarded { needs, handler }));
        self
    }

    /// A route for every method.
    ///
    /// # Panics
    /// Where there is a row for that path already.
    #[track_caller]
    pub fn any<H, T>(mut self, path: &str, needs: Needs, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.rows.push(Row { part: self.title, method: None, path: path.to_owned(), needs });
        self.router = self.router.route(path, any::<Guarded<H>, T, S>(Guarded { needs, handler }));
        self
    }

    /// A route for whatever no other row is for. A table has one at most.
    pub fn rest<H, T>(mut self, needs: Needs, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.rows.push(Row { part: self.title, method: None, path: REST.to_owned(), needs });
        self.router = self.router.fallback::<Guarded<H>, T>(Guarded { needs, handler });
        self
    }

    /// How the rows so far refuse the methods that they are not for. `refuse` has no state, so it has nothing to give away.
    pub fn refusing_methods(mut self, refuse: fn(Method, Uri) -> Response) -> Self {
        let refuse = move |method: Method, uri: Uri| std::future::ready(refuse(method, uri));
        self.router = self.router.method_not_allowed_fallback(refuse);
        self
    }

    /// The rows of both.
    ///
    /// # Panics
    /// Where they have a row for the same, or both one for the rest.
    #[track_caller]
    pub fn join(mut self, other: Self) -> Self {
        self.rows.extend(other.rows);
        self.router = self.router.merge(other.router);
        self
    }

    /// Puts something around the rows so far, but for that for the rest.
    pub fn layer_rows<L>(mut self, layer: L) -> Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        self.router = self.router.route_layer(layer);
        self
    }

    /// Puts something around all there is so far.
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        self.router = self.router.layer(layer);
        self
    }

    /// The part with the state of its handlers.
    pub fn with_state(self, state: S) -> Part {
        Part { title: self.title, rows: self.rows, router: self.router.with_state(state) }
    }

    /// What it is made of.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}

impl Part {
    /// Opens it: from here on there is no other row.
    pub fn doors(self) -> Doors {
        Doors::of(self.router)
    }
}
